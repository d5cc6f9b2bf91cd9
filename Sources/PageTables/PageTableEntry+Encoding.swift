import IOMMUModel

/// Why no entry can express what was asked for. Raw values are the names of the conformance vectors where they have one.
public enum EncodingRefusal: String, Error, Sendable, Hashable, CaseIterable {
    /// Neither read nor write: the entry would map nothing.
    case noAccess
    /// No leaf of that size exists at that level.
    case invalidPageSize
    /// The address is not a multiple of the page size (a table: of 4 KiB).
    case misaligned
    /// The address has bits at or above the host address width.
    case addressTooWide
    /// Forced snooping is asked for, but the hardware has no snoop control.
    case snoopUnsupported
    /// No table entries at that level.
    case invalidLevel
}

extension PageTableEntry {
    /// The word of a leaf at `level` that maps `2^pageSizeLog2` bytes at `address`, as Linux writes it.
    public static func encodeLeaf(
        _ address: PhysicalAddress, pageSizeLog2: Int, level: Int, protection: Protection, snoop: Bool = false,
        configuration: PageTableConfiguration
    ) throws(EncodingRefusal) -> UInt64 {
        let rules = configuration.rules
        guard !protection.intersection(.readWrite).isEmpty else { throw .noAccess }
        guard (0...5).contains(level), rules.hasLeaves(atLevel: level), pageSizeLog2 == 12 + 9 * level
        else { throw .invalidPageSize }
        guard address.isAligned(toLog2: pageSizeLog2) else { throw .misaligned }
        guard address.rawValue & ~rules.addressMask == 0 else { throw .addressTooWide }
        guard !snoop || configuration.snoopControl else { throw .snoopUnsupported }
        switch configuration.format {
        case .vtdSecondStage:
            return address.rawValue
                | VTDSecondStage.leafFlags(isLarge: level > 0, rights: protection.rawValue, snoop: snoop)
        }
    }

    /// The word of a table entry at `level` (1 and up) that points to the table page at `address`, as Linux writes it.
    public static func encodeTable(
        _ address: PhysicalAddress, level: Int, configuration: PageTableConfiguration
    ) throws(EncodingRefusal) -> UInt64 {
        guard address.isAligned(toLog2: 12) else { throw .misaligned }
        guard address.rawValue & ~configuration.rules.addressMask == 0 else { throw .addressTooWide }
        switch configuration.format {
        case .vtdSecondStage:
            guard (1...VTDSecondStage.topLevels.upperBound).contains(level) else { throw .invalidLevel }
            return VTDSecondStage.tableWord(address.rawValue)
        }
    }
}
