import Hardware
import IOMMUModel

/// What became of one access of a device.
public enum DMAOutcome: Sendable, Hashable {
    /// It reached this physical address.
    case address(PhysicalAddress)
    /// It was an interrupt request, never translated (VT-d 3.14: 0xFEE00000 to 0xFEEFFFFF).
    case interrupt
    /// The hardware refused it.
    case fault(FaultReason)
    /// The unit aborts every request (RTADDR.TTM = 3): no fault is recorded.
    case aborted
    /// A table page that the walk needs is not in the machine's memory: nobody can know.
    case unknown(PhysicalAddress)
    /// The device did not put it on the bus: bus mastering is off, or there is no such device.
    case notIssued

    /// What a unit answers past its caches; nothing is counted or recorded.
    package init(_ outcome: RequestOutcome) {
        switch outcome {
        case .translated(let translation, _): self = .address(translation.pa)
        case .untranslated(let address, _): self = .address(address)
        case .interrupt: self = .interrupt
        case .aborted: self = .aborted
        case .unknown(let page): self = .unknown(page)
        case .fault(let fault): self = .fault(fault.reason)
        }
    }
}
