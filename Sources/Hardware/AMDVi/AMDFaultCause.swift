import PageTables

/// What was wrong with a request or with the entries on its way.
public enum AMDFaultCause: String, Error, Sendable, Hashable, CaseIterable {
    /// The requester id is beyond the end of the device table.
    case deviceBeyondTable
    /// The device table entry could not be read. Never answered by ``AMDUnitHardware``: to it, a page that is not in
    /// memory is unknown.
    case deviceTableUnreachable
    /// A reserved bit is set in a valid device table entry.
    case deviceEntryReserved
    /// The paging mode is reserved, or has more levels than EFR.HATS.
    case pagingMode
    /// GV without guest translation in the unit, or a GLX or guest paging mode that is reserved or more than EFR has.
    case guestMode
    /// V = 1 and TV = 0.
    case translationInvalid
    /// A PASID in a request of a device without guest translation.
    case pasidWithoutGuest
    /// A PASID that the GCR3 table has no entry for, or wider than EFR.PASmax.
    case pasidBeyondTable
    /// A GCR3 entry on the way has V = 0.
    case gcr3NotValid
    /// A valid GCR3 entry on the way has a reserved bit set.
    case gcr3Reserved
    /// The host's tables do not let the unit read a GCR3 table whose address is a guest's.
    case gcr3Untranslated
    /// A paging entry on the way maps nothing.
    case notPresent
    /// The device table entry and all paging entries together do not allow a read.
    case readPermission
    /// The device table entry and all paging entries together do not allow a write.
    case writePermission
    /// A guest's paging entry forbids execution.
    case executePermission
    /// A guest's paging entry is the supervisor's.
    case userPermission
    /// A present paging entry has a reserved bit set.
    case pagingEntryReserved
    /// The next level of a paging entry is not below its own.
    case invalidLevel
    /// The size code of a paging entry is none of its level.
    case invalidPageSize
    /// A page at a level that has none.
    case leafNotAllowed
    /// Address bits of a level that a paging entry skips are not zero.
    case skippedLevelBits
    /// The address is wider than the tables translate, or not canonical.
    case addressBeyondWidth
    /// A paging entry could not be read through the address in the entry above it. Never answered by
    /// ``AMDUnitHardware``: to it, a page that is not in memory is unknown.
    case pagingEntryUnreachable

    /// What a table walk found.
    init(_ fault: TranslationFault) {
        self =
            switch fault {
            case .notPresent: .notPresent
            case .permissionRead: .readPermission
            case .permissionWrite: .writePermission
            case .permissionExec: .executePermission
            case .permissionUser: .userPermission
            // The last three are none of AMD's formats.
            case .reservedBits, .invalidEncoding, .addressSize, .accessFlag: .pagingEntryReserved
            case .invalidLevel: .invalidLevel
            case .invalidPageSize: .invalidPageSize
            case .leafNotAllowed: .leafNotAllowed
            case .skippedLevelBits: .skippedLevelBits
            case .vaOutOfRange, .nonCanonical: .addressBeyondWidth
            case .pointerOutsideMemory: .pagingEntryUnreachable
            }
    }

    /// The event that the unit logs.
    ///
    /// The specification names the event for reserved bits, permissions and entries that are not present. For a mode
    /// that cannot be it is taken from the RZ flag of ILLEGAL_DEV_TABLE_ENTRY, whose 0 stands for an invalid level
    /// encoding; for ids beyond a table and TV = 0 it is what another implementation of the specification raises.
    public var event: AMDFaultReason.Event {
        switch self {
        case .deviceEntryReserved, .pagingMode, .guestMode: .illegalDeviceTableEntry
        case .deviceTableUnreachable: .deviceTableHardwareError
        case .pagingEntryUnreachable: .pageTableHardwareError
        case .pasidWithoutGuest: .invalidDeviceRequest
        case .deviceBeyondTable, .translationInvalid, .pasidBeyondTable, .gcr3NotValid, .gcr3Reserved,
            .gcr3Untranslated, .notPresent, .readPermission, .writePermission, .executePermission, .userPermission,
            .pagingEntryReserved, .invalidLevel, .invalidPageSize, .leafNotAllowed, .skippedLevelBits,
            .addressBeyondWidth:
            .pageFault
        }
    }

    /// The flags that follow from the cause alone.
    var flags: AMDFaultReason.Flags {
        switch self {
        case .deviceEntryReserved: .reserved
        case .gcr3Reserved, .pagingEntryReserved: [.present, .reserved]
        case .readPermission, .writePermission, .executePermission, .userPermission: [.present, .permission]
        case .invalidLevel, .invalidPageSize, .leafNotAllowed, .skippedLevelBits: .present
        case .deviceBeyondTable, .deviceTableUnreachable, .pagingMode, .guestMode, .translationInvalid,
            .pasidWithoutGuest, .pasidBeyondTable, .gcr3NotValid, .gcr3Untranslated, .notPresent, .addressBeyondWidth,
            .pagingEntryUnreachable:
            []
        }
    }

    /// One line.
    public var meaning: String {
        switch self {
        case .deviceBeyondTable: "requester id beyond the device table"
        case .deviceTableUnreachable: "the device table entry cannot be read"
        case .deviceEntryReserved: "reserved bit set in the device table entry"
        case .pagingMode: "paging mode reserved or not supported"
        case .guestMode: "guest translation as the unit does not support it"
        case .translationInvalid: "translation information not valid"
        case .pasidWithoutGuest: "request with PASID without guest translation"
        case .pasidBeyondTable: "PASID beyond the GCR3 table or the unit's width"
        case .gcr3NotValid: "GCR3 entry not valid"
        case .gcr3Reserved: "reserved bit set in a GCR3 entry"
        case .gcr3Untranslated: "the host's tables do not lead to the GCR3 table"
        case .notPresent: "paging entry not present"
        case .readPermission: "no read permission"
        case .writePermission: "no write permission"
        case .executePermission: "no execute permission"
        case .userPermission: "no user permission"
        case .pagingEntryReserved: "reserved bit set in a paging entry"
        case .invalidLevel: "next level not below the entry's own"
        case .invalidPageSize: "page size that the level does not have"
        case .leafNotAllowed: "page at a level without pages"
        case .skippedLevelBits: "address bits of a skipped level not zero"
        case .addressBeyondWidth: "address beyond the width of the tables"
        case .pagingEntryUnreachable: "the next paging entry cannot be read"
        }
    }
}
