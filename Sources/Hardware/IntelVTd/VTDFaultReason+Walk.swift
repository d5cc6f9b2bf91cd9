import IOMMUModel
import PageTables

extension VTDFaultReason {
    /// The reason that the hardware gives in legacy mode for a fault of its second-stage walk.
    ///
    /// Second-stage entries have no present bit: R = W = 0 is a lack of the permission that the access needs.
    public init(_ fault: TranslationFault, access: Access) {
        switch fault {
        case .notPresent: self = access == .write ? .writePermission : .readPermission
        case .permissionRead, .permissionExec, .permissionUser: self = .readPermission
        case .permissionWrite: self = .writePermission
        case .reservedBits, .invalidLevel, .invalidPageSize, .leafNotAllowed, .skippedLevelBits, .invalidEncoding,
            .addressSize, .accessFlag:
            self = .pagingEntryReserved
        case .vaOutOfRange, .nonCanonical: self = .addressBeyondWidth
        case .pointerOutsideMemory: self = .pagingEntryUnreachable
        }
    }

    /// The reason that the hardware gives in scalable mode for a fault in a first-stage entry.
    public init(firstStage fault: TranslationFault) {
        switch fault {
        case .notPresent: self = .firstStageNotPresent
        case .permissionRead: self = .scalableReadPermission
        case .permissionWrite: self = .scalableWritePermission
        case .permissionExec: self = .executePermission
        case .permissionUser: self = .supervisorPage
        case .reservedBits, .invalidLevel, .invalidPageSize, .leafNotAllowed, .skippedLevelBits, .invalidEncoding,
            .addressSize, .accessFlag:
            self = .firstStageReserved
        case .vaOutOfRange, .nonCanonical: self = .nonCanonical
        case .pointerOutsideMemory: self = .firstStageUnreachable
        }
    }

    /// The reason that the hardware gives in scalable mode for a fault in a second-stage entry.
    public init(secondStage fault: TranslationFault) {
        switch fault {
        case .notPresent: self = .secondStageNotPresent
        case .permissionRead, .permissionExec, .permissionUser: self = .scalableReadPermission
        case .permissionWrite: self = .scalableWritePermission
        case .reservedBits, .invalidLevel, .invalidPageSize, .leafNotAllowed, .skippedLevelBits, .invalidEncoding,
            .addressSize, .accessFlag:
            self = .secondStageReserved
        case .vaOutOfRange, .nonCanonical: self = .addressBeyondSecondStage
        case .pointerOutsideMemory: self = .secondStageUnreachable
        }
    }
}
