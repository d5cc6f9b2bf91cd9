import IOMMUModel

/// Why nothing was mapped. Each case has one errno, as Linux's page-table code answers.
public enum MapError: Error, Sendable, Hashable, CustomStringConvertible {
    /// An address or a length that is not a multiple of 4 KiB, or no bytes at all.
    case misaligned(iova: IOVA, pa: PhysicalAddress, byteCount: UInt64)
    /// Neither read nor write.
    case noAccess
    /// Input addresses that pass the configuration's width.
    case outOfRange(iova: IOVA, byteCount: UInt64)
    /// Output addresses that pass the host address width.
    case addressTooWide(pa: PhysicalAddress, byteCount: UInt64)
    /// Something is mapped in the range; the first address where.
    case overlap(at: IOVA)
    /// No table frame is left.
    case outOfTables
    /// Forced snooping where no entry can ask for it.
    case snoopUnsupported
    /// The tables themselves are damaged, or not what a driver writes: an entry on the way is reserved, skips levels, or
    /// points to a table that is not in memory (the root's own address when that is absent).
    case damaged(entryAddress: PhysicalAddress)

    /// What the page-table code of Linux answers; an IOAS's differs (lifecycle.md, "Everyday errno of an IOAS").
    public var errno: Errno {
        switch self {
        case .misaligned, .noAccess: .EINVAL
        case .outOfRange, .addressTooWide: .ERANGE
        case .overlap: .EADDRINUSE
        case .outOfTables: .ENOMEM
        case .snoopUnsupported: .EOPNOTSUPP
        case .damaged: .EIO
        }
    }

    /// One line.
    public var description: String {
        switch self {
        case .misaligned(let iova, let pa, let bytes): "\(bytes) bytes at \(iova) to \(pa) are not 4 KiB pages"
        case .noAccess: "a mapping without read and write"
        case .outOfRange(let iova, let bytes): "\(bytes) bytes at \(iova) pass the width of the input address"
        case .addressTooWide(let pa, let bytes): "\(bytes) bytes at \(pa) pass the host address width"
        case .overlap(let iova): "\(iova) is mapped already"
        case .outOfTables: "no table frame is left"
        case .snoopUnsupported: "no entry can force snooping"
        case .damaged(let entry): "the table entry at \(entry) is damaged"
        }
    }
}

/// What a mapping asks for besides its protection.
public struct MapOptions: OptionSet, Sendable, Hashable {
    /// Bit 0: ``snoop``; bit 1: ``mmio``; bit 2: ``noExecute``.
    public let rawValue: UInt8
    /// Any 8 bits; those above bit 2 mean nothing.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Accesses snoop the processor caches whatever the device asks for (VT-d: SNP; AMD v1: FC), or the
    /// memory is cached and inner shareable (Armv8).
    public static let snoop = MapOptions(rawValue: 1)
    /// Device memory: never encrypted, so written without the C-bit (AMD); of the device type (Armv8). Nothing else changes.
    public static let mmio = MapOptions(rawValue: 2)
    /// No instruction fetches (Armv8: XN). Formats whose drivers never write it leave it out.
    public static let noExecute = MapOptions(rawValue: 4)
}
