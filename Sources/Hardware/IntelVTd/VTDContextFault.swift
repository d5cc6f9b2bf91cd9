import IOMMUModel

/// Why a requester's entries do not lead to a context: the hardware's reason and the word at fault.
public struct VTDContextFault: Error, Sendable, Hashable {
    /// The fault record's FR field (VT-d 7.1.3).
    public var reason: VTDFaultReason
    /// The root or context entry at fault; `nil` when RTADDR itself is.
    public var entryAddress: PhysicalAddress?
    /// False when the context entry has Fault Processing Disable set: the hardware does not record the fault.
    public var isRecorded: Bool

    init(_ reason: VTDFaultReason, at entryAddress: PhysicalAddress?, isRecorded: Bool = true) {
        self.reason = reason
        self.entryAddress = entryAddress
        self.isRecorded = isRecorded
    }
}
