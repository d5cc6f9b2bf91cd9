import Engine
import IOMMUModel

/// An access of a device that did not reach memory.
public struct DMAFault: Error, Sendable, Hashable, CustomStringConvertible {
    /// Whose access it was, and with which PASID.
    public var key: AttachmentKey
    /// The first address that was refused.
    public var iova: IOVA
    /// What was asked for.
    public var access: Access
    /// What became of it; never an address in the machine's memory.
    public var outcome: DMAOutcome
    /// The bytes before ``iova`` that were transferred.
    public var byteCount: Int

    /// All as given; nothing is checked.
    public init(key: AttachmentKey, iova: IOVA, access: Access, outcome: DMAOutcome, byteCount: Int = 0) {
        self.key = key
        self.iova = iova
        self.access = access
        self.outcome = outcome
        self.byteCount = byteCount
    }

    /// `SSSS:BB:DD.F write at 0x…: ` and what the hardware says.
    public var description: String {
        let what =
            switch outcome {
            case .address(let address): "no memory at \(address)"
            case .interrupt: "an interrupt request, not a DMA"
            case .fault(let reason): "\(reason)"
            case .aborted: "aborted"
            case .unknown(let page): "the table at \(page) is not in memory"
            case .notIssued: "not issued, the device is not on the bus"
            }
        return "\(key) \(access) at \(iova): \(what)"
    }
}
