import IOMMUModel
import PageTables

/// What became of one request.
public enum VTDOutcome: Sendable, Hashable {
    /// Through second-stage tables.
    case translated(Translation, context: VTDContext)
    /// The address passed unchanged: a pass-through context, or (`context` is `nil`) translation is off.
    case untranslated(PhysicalAddress, context: VTDContext?)
    /// A request to the interrupt address range.
    case interrupt
    /// Refused, with the reason and the entry at fault.
    case fault(VTDContextFault)
    /// RTADDR.TTM is abort-DMA: refused without a fault record.
    case aborted
    /// A lookup or table page that the walk needs is not in memory: unknown, not a fault.
    case unknown(page: PhysicalAddress)

    /// The physical address the request reaches, or `nil`.
    public var address: PhysicalAddress? {
        switch self {
        case .translated(let translation, _): translation.pa
        case .untranslated(let address, _): address
        case .interrupt, .fault, .aborted, .unknown: nil
        }
    }
}

extension VTDFaultReason {
    /// The reason that the hardware gives for a fault of its second-stage walk.
    ///
    /// Second-stage entries have no present bit: R = W = 0 is a lack of the permission that the access needs.
    public init(_ fault: TranslationFault, access: Access) {
        switch fault {
        case .notPresent: self = access == .write ? .writePermission : .readPermission
        case .permissionRead, .permissionExec, .permissionUser: self = .readPermission
        case .permissionWrite: self = .writePermission
        case .reservedBits, .invalidLevel, .invalidPageSize, .leafNotAllowed, .skippedLevelBits:
            self = .pagingEntryReserved
        case .vaOutOfRange, .nonCanonical: self = .addressBeyondWidth
        case .pointerOutsideMemory: self = .pagingEntryUnreachable
        }
    }
}
