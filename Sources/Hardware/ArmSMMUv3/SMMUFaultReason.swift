import PageTables

/// Why an SMMUv3 refuses a transaction: what was wrong, and the event that it records (IHI 0070 7.3).
public enum SMMUFaultReason: String, Error, Sendable, Hashable, CaseIterable {
    /// The StreamID is beyond the stream table, or has no entry in it.
    case badStreamID
    /// The entry is not valid.
    case entryNotValid
    /// Config 1 to 3, which aborts like 0.
    case configReserved
    /// Config asks for a stage that the unit lacks.
    case configUnsupported
    /// The fields of stage 2 do not fit each other, or the unit.
    case stage2Illegal
    /// A SubstreamID (PASID) where there is no stage 1.
    case badSubstreamID
    /// The entry asks for what this version does not read: the hardware may go on.
    case notRead
    /// Translation is off and GBPA says abort.
    case globalAbort
    /// A descriptor on the way maps nothing, or has a type that its level has not.
    case translation
    /// The address is wider than the tables translate.
    case addressBeyondWidth
    /// A descriptor's output address is above the output size, or the input address above what the unit takes.
    case addressSize
    /// The access flag of a leaf is clear.
    case accessFlag
    /// The descriptors do not allow the access.
    case permission
    /// A descriptor could not be read. Never answered by ``SMMUUnitHardware``: to it, a page that is not in memory is unknown.
    case walkAbort

    /// What a table walk found.
    init(_ fault: TranslationFault) {
        self =
            switch fault {
            case .notPresent, .invalidEncoding, .reservedBits, .invalidLevel, .invalidPageSize, .leafNotAllowed,
                .skippedLevelBits:
                .translation
            case .vaOutOfRange, .nonCanonical: .addressBeyondWidth
            case .addressSize: .addressSize
            case .accessFlag: .accessFlag
            case .permissionRead, .permissionWrite, .permissionExec, .permissionUser: .permission
            case .pointerOutsideMemory: .walkAbort
            }
    }

    /// The event's number, or 0 when none is recorded.
    public var eventCode: UInt8 {
        switch self {
        case .badStreamID: 0x02
        case .entryNotValid, .configUnsupported, .stage2Illegal: 0x04
        case .badSubstreamID: 0x08
        case .walkAbort: 0x0b
        case .translation, .addressBeyondWidth: 0x10
        case .addressSize: 0x11
        case .accessFlag: 0x12
        case .permission: 0x13
        case .configReserved, .notRead, .globalAbort: 0
        }
    }

    /// The event as the specification writes it; `nil` when none is recorded.
    public var eventName: String? {
        switch eventCode {
        case 0x02: "C_BAD_STREAMID"
        case 0x04: "C_BAD_STE"
        case 0x08: "C_BAD_SUBSTREAMID"
        case 0x0b: "F_WALK_EABT"
        case 0x10: "F_TRANSLATION"
        case 0x11: "F_ADDR_SIZE"
        case 0x12: "F_ACCESS"
        case 0x13: "F_PERMISSION"
        default: nil
        }
    }

    /// One line.
    public var meaning: String {
        switch self {
        case .badStreamID: "no stream table entry for the StreamID"
        case .entryNotValid: "stream table entry not valid"
        case .configReserved: "Config of the stream table entry is reserved"
        case .configUnsupported: "Config of the stream table entry asks for a stage that the unit lacks"
        case .stage2Illegal: "the fields of stage 2 do not fit each other or the unit"
        case .badSubstreamID: "a PASID without stage 1"
        case .notRead: "what the stream table entry asks for is not read by this version"
        case .globalAbort: "translation is off and everything is aborted"
        case .translation: "descriptor not valid"
        case .addressBeyondWidth: "address beyond the width of the tables"
        case .addressSize: "address above the size that the unit has"
        case .accessFlag: "access flag clear"
        case .permission: "no permission"
        case .walkAbort: "the next descriptor cannot be read"
        }
    }
}

extension SMMUFaultReason: CustomStringConvertible {
    /// Number and name of the event, and the cause: `event 10h F_TRANSLATION: descriptor not valid`.
    public var description: String {
        guard let eventName else {
            return self == .notRead ? meaning : "aborted without an event: \(meaning)"
        }
        let code = String(eventCode, radix: 16, uppercase: true)
        return "event \(eventCode < 16 ? "0" : "")\(code)h \(eventName): \(meaning)"
    }
}
