/// Why a request was refused: the Fault Reason field of a fault record (VT-d 7.1.3, the tables of fault reasons).
public enum VTDFaultReason: UInt8, Error, Sendable, Hashable, CaseIterable {
    /// The P field of the root entry is 0.
    case rootNotPresent = 0x01
    /// The P field of the context entry is 0.
    case contextNotPresent = 0x02
    /// Invalid programming of the context entry: its AW is not in CAP.SAGAW, or its TT is reserved or not supported.
    case contextInvalid = 0x03
    /// The address is at or above 2^X, X the smaller of the domain's width and CAP.MGAW.
    case addressBeyondWidth = 0x04
    /// A write without write permission.
    case writePermission = 0x05
    /// A read without read permission.
    case readPermission = 0x06
    /// A paging entry could not be read through the address in the entry above it.
    case pagingEntryUnreachable = 0x07
    /// The root entry could not be read through RTADDR.
    case rootTableUnreachable = 0x08
    /// The context entry could not be read through the root entry's CTP.
    case contextTableUnreachable = 0x09
    /// A reserved bit is set in a present root entry.
    case rootReserved = 0x0a
    /// A reserved bit is set in a present context entry.
    case contextReserved = 0x0b
    /// A reserved bit is set in a paging entry with R or W.
    case pagingEntryReserved = 0x0c
    /// A translation or translated request, blocked by the TT field of the context entry.
    case blockedByTranslationType = 0x0d
    /// RTADDR.TTM is reserved or not supported.
    case rootTableAddressInvalid = 0x30
    /// A request with a PASID while RTADDR.TTM is 0 (legacy).
    case pasidInLegacyMode = 0x31

    /// One line in the words of the specification.
    public var meaning: String {
        switch self {
        case .rootNotPresent: "present field in the root entry is 0"
        case .contextNotPresent: "present field in the context entry is 0"
        case .contextInvalid: "invalid programming of the context entry"
        case .addressBeyondWidth: "address beyond the width of the domain or of MGAW"
        case .writePermission: "no write permission"
        case .readPermission: "no read permission"
        case .pagingEntryUnreachable: "the next paging entry cannot be read"
        case .rootTableUnreachable: "the root entry cannot be read"
        case .contextTableUnreachable: "the context entry cannot be read"
        case .rootReserved: "reserved bit set in the root entry"
        case .contextReserved: "reserved bit set in the context entry"
        case .pagingEntryReserved: "reserved bit set in a paging entry"
        case .blockedByTranslationType: "blocked by the translation type of the context entry"
        case .rootTableAddressInvalid: "invalid root table address register"
        case .pasidInLegacyMode: "request with PASID while the translation table mode is legacy"
        }
    }
}

extension VTDFaultReason: CustomStringConvertible {
    /// The code as the specification writes it and its meaning: `fault Bh: reserved bit set in the context entry`.
    public var description: String { "fault \(String(rawValue, radix: 16, uppercase: true))h: \(meaning)" }
}
