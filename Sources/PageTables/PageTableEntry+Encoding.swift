import IOMMUModel

/// Why no entry can express what was asked for. Raw values are the names of the conformance vectors where they have one.
public enum EncodingRefusal: String, Error, Sendable, Hashable, CaseIterable {
    /// Neither read nor write, where such an entry would map nothing (VT-d second stage).
    case noAccess
    /// No leaf of that size exists at that level.
    case invalidPageSize
    /// The address is not a multiple of the page size (a table: of 4 KiB).
    case misaligned
    /// The address has bits at or above the host address width, or the C-bit.
    case addressTooWide
    /// Forced snooping is asked for, but no entry can ask the hardware for it.
    case snoopUnsupported
    /// No table entries at that level.
    case invalidLevel
}

extension PageTableEntry {
    /// The word of a leaf at `level` that maps `2^pageSizeLog2` bytes at `address`, as Linux writes it.
    ///
    /// A leaf larger than its table's slots stands in ``itemCount(pageSizeLog2:level:)`` of them: in each the same word (AMD
    /// v1), or each with its own address, this one the first (Armv8).
    public static func encodeLeaf(
        _ address: PhysicalAddress, pageSizeLog2: Int, level: Int, protection: Protection, options: MapOptions = [],
        configuration: PageTableConfiguration
    ) throws(EncodingRefusal) -> UInt64 {
        switch configuration.format {
        case .vtdSecondStage:
            try encodeLeaf(VTDSecondStage.self, address, pageSizeLog2, level, protection, options, configuration)
        case .amdV1: try encodeLeaf(AMDv1.self, address, pageSizeLog2, level, protection, options, configuration)
        case .x86_64: try encodeLeaf(X86_64.self, address, pageSizeLog2, level, protection, options, configuration)
        case .armv8Stage2:
            try encodeLeaf(Armv8Stage2.self, address, pageSizeLog2, level, protection, options, configuration)
        }
    }

    private static func encodeLeaf<Format: PageTableFormat>(
        _ format: Format.Type, _ address: PhysicalAddress, _ log2: Int, _ level: Int, _ protection: Protection,
        _ options: MapOptions, _ configuration: PageTableConfiguration
    ) throws(EncodingRefusal) -> UInt64 {
        let rules = configuration.rules
        let rights = protection.rawValue & 3
        guard rights != 0 || !Format.refusesNoAccess else { throw .noAccess }
        guard (0...5).contains(level), (12..<64).contains(log2),
            (Format.entrySizes(rules) & EntryRules.sizes(atLevel: level)) >> UInt64(log2) & 1 == 1
        else { throw .invalidPageSize }
        guard address.isAligned(toLog2: log2) else { throw .misaligned }
        guard address.rawValue & ~rules.encodable == 0 else { throw .addressTooWide }
        guard !options.contains(.snoop) || Format.canForceSnoop && configuration.snoopControl else {
            throw .snoopUnsupported
        }
        return Format.leafWord(address.rawValue, log2: UInt64(log2), rights: rights, options: options, rules)
    }

    /// The word of a table entry at `level` (1 and up) that points to the table page at `address`, as Linux writes it.
    public static func encodeTable(
        _ address: PhysicalAddress, level: Int, configuration: PageTableConfiguration
    ) throws(EncodingRefusal) -> UInt64 {
        switch configuration.format {
        case .vtdSecondStage: try encodeTable(VTDSecondStage.self, address, level, configuration)
        case .amdV1: try encodeTable(AMDv1.self, address, level, configuration)
        case .x86_64: try encodeTable(X86_64.self, address, level, configuration)
        case .armv8Stage2: try encodeTable(Armv8Stage2.self, address, level, configuration)
        }
    }

    private static func encodeTable<Format: PageTableFormat>(
        _ format: Format.Type, _ address: PhysicalAddress, _ level: Int, _ configuration: PageTableConfiguration
    ) throws(EncodingRefusal) -> UInt64 {
        guard address.isAligned(toLog2: 12) else { throw .misaligned }
        guard address.rawValue & ~configuration.rules.encodable == 0 else { throw .addressTooWide }
        guard (1...Format.topLevels.upperBound).contains(level) else { throw .invalidLevel }
        return Format.tableWord(address.rawValue, level: level, configuration.rules)
    }
}
