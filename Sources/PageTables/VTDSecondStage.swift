import IOMMUModel

/// Intel VT-d second-stage paging entries (VT-d 3.7 and 9.8; reference/page-table-formats.md 1.2).
///
/// There is no present bit: an entry with R = W = 0 maps nothing, whatever else it holds, and its reserved bits are not
/// checked. Bits 2 to 6 (execute, memory type) are ignored here, as hardware without those features does.
enum VTDSecondStage: PageTableFormat {
    static let topLevels = 2...4
    static let hasContiguousLeaves = false
    static let hasNextLevel = false
    static let canSignExtend = false
    static let grantedRights = EntryRights.user | EntryRights.execute
    static let refusesNoAccess = true
    static let canForceSnoop = true

    static let readWrite: UInt64 = 0x3
    /// PS: a leaf at levels 1 and 2; ignored at level 0; reserved at 3 and 4 and where the size is not supported.
    static let pageSizeBit: UInt64 = 1 << 7
    static let accessedBit: UInt64 = 1 << 8
    static let dirtyBit: UInt64 = 1 << 9
    /// SNP, in leaves only.
    static let snoopBit: UInt64 = 1 << 11
    /// TM, in leaves only.
    static let transientBit: UInt64 = 1 << 62
    /// 10, 61:52, 63.
    static let softwareBits: UInt64 = 1 << 10 | 0x3ff << 52 | 1 << 63

    static func rules(_ capabilities: EntryCapabilities) -> EntryRules {
        let inside = capabilities.inside
        let outside = EntryCapabilities.addressField & ~inside
        return EntryRules(
            addressMask: inside,
            tableReserved: outside | snoopBit | transientBit,
            leafReserved: outside | (capabilities.snoopControl ? 0 : snoopBit)
                | (capabilities.deviceTLB ? 0 : transientBit),
            pageSizes: capabilities.pageSizes, encodable: inside)
    }

    @inline(__always)
    static func kind(_ word: UInt64, level: Int, _ rules: EntryRules) -> EntryKind {
        if word & readWrite == 0 { return .notPresent }
        if level == 0 { return word & rules.leafReserved == 0 ? .leaf : .invalid(.reservedBits) }
        if word & pageSizeBit == 0 { return word & rules.tableReserved == 0 ? .table : .invalid(.reservedBits) }
        guard rules.hasLeaves(atLevel: level) else { return .invalid(.reservedBits) }
        return word & (rules.leafReserved | lowAddressBits(level)) == 0 ? .leaf : .invalid(.reservedBits)
    }

    @inline(__always)
    static func isPresent(_ word: UInt64) -> Bool { word & readWrite != 0 }

    @inline(__always)
    static func mark(level: Int) -> UInt64 { 0 }
    @inline(__always)
    static var markStep: UInt64 { 0 }

    @inline(__always)
    static func isTable(_ word: UInt64, mark: UInt64, _ rules: EntryRules) -> Bool {
        word & readWrite != 0 && word & (rules.tableReserved | pageSizeBit) == 0
    }

    /// Address bits that must be 0 in a leaf at `level`: none at 0, 20:12 at 1, 29:12 at 2.
    @inline(__always)
    static func lowAddressBits(_ level: Int) -> UInt64 {
        (1 &<< UInt64(truncatingIfNeeded: 12 &+ 9 &* level)) &- 0x1000
    }

    @inline(__always)
    static func rights(_ word: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: word & readWrite) }

    @inline(__always)
    static func rootRights(_ rules: EntryRules) -> UInt8 { EntryRights.read | EntryRights.write }

    @inline(__always)
    static func tableAddress(_ word: UInt64, _ rules: EntryRules) -> UInt64 { word & rules.addressMask }

    @inline(__always)
    static func nextLevel(_ word: UInt64, level: Int) -> Int { level &- 1 }

    @inline(__always)
    static func leafSizeLog2(_ word: UInt64, level: Int, _ rules: EntryRules) -> UInt64 {
        UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
    }

    @inline(__always)
    static func leafAddress(_ word: UInt64, level: Int, _ rules: EntryRules) -> UInt64 { word & rules.addressMask }

    @inline(__always)
    static func runMask(level: Int, _ rules: EntryRules) -> UInt64 {
        readWrite | rules.addressMask | rules.leafReserved | (level == 0 ? 0 : pageSizeBit)
    }

    /// Drivers use the ignored bits (Linux: bit 10), so they are none.
    @inline(__always)
    static func lints(_ word: UInt64, _ kind: EntryKind, level: Int, _ rules: EntryRules) -> EntryLints {
        if case .notPresent = kind, word != 0 { .nonZeroNotPresent } else { [] }
    }

    @inline(__always)
    static func snoops(_ word: UInt64) -> Bool { word & snoopBit != 0 }
    @inline(__always)
    static func hasPAT(_ word: UInt64, level: Int) -> Bool { false }

    @inline(__always)
    static func singleSizes(_ rules: EntryRules) -> UInt64 { rules.pageSizes }
    @inline(__always)
    static func encodable(_ rules: EntryRules) -> UInt64 { rules.addressMask }

    @inline(__always)
    static func slotLeafWord(
        _ address: UInt64, log2: UInt64, rights: UInt8, options: MapOptions, _ rules: EntryRules
    ) -> UInt64 {
        address | UInt64(rights) & readWrite | (options.contains(.snoop) ? snoopBit : 0)
            | (log2 > 12 ? pageSizeBit : 0)
    }

    @inline(__always)
    static func tableWord(_ address: UInt64, level: Int, _ rules: EntryRules) -> UInt64 { address | readWrite }
}
