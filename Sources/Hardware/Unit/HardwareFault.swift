import IOMMUModel

/// Why a unit refuses a request, in the words and codes of its vendor.
public enum FaultReason: Sendable, Hashable {
    /// The Fault Reason field of a VT-d fault record.
    case vtd(VTDFaultReason)
    /// The event that an AMD IOMMU logs.
    case amd(AMDFaultReason)
    /// The event that an SMMUv3 records.
    case smmu(SMMUFaultReason)

    /// The number that the hardware records: VT-d's FR field; AMD's event code; SMMUv3's event number, 0 where it records none.
    public var code: UInt8 {
        switch self {
        case .vtd(let reason): reason.rawValue
        case .amd(let reason): reason.eventCode
        case .smmu(let reason): reason.eventCode
        }
    }
}

extension FaultReason: CustomStringConvertible {
    /// The code as the vendor writes it and its meaning.
    public var description: String {
        switch self {
        case .vtd(let reason): reason.description
        case .amd(let reason): reason.description
        case .smmu(let reason): reason.description
        }
    }
}

/// One refusal: the reason and the entry at fault.
public struct HardwareFault: Error, Sendable, Hashable {
    /// Why.
    public var reason: FaultReason
    /// Of the first word of the lookup entry, or of the paging entry, at fault; `nil` when a register itself is, or the
    /// address of the request.
    public var entryAddress: PhysicalAddress?
    /// False when the structures say that the hardware does not record the fault.
    public var isRecorded: Bool

    /// All as given; nothing is checked.
    public init(_ reason: FaultReason, at entryAddress: PhysicalAddress?, isRecorded: Bool = true) {
        self.reason = reason
        self.entryAddress = entryAddress
        self.isRecorded = isRecorded
    }
}
