import IOMMUModel

/// x86-64 paging entries of 4 and 5 levels (SDM 3A 4.5; VT-d 3.6 and 9.7, first stage; AMD 48882 2.2.6, "v2";
/// reference/page-table-formats.md 1.3).
///
/// PWT, PCD, G, EA (bit 10) and bits 9, 11, 62:52 are ignored here. A device's request is a user's: U/S must be 1 all the
/// way.
enum X86_64: PageTableFormat {
    static let topLevels = 3...4
    static let hasContiguousLeaves = false
    static let hasNextLevel = false
    static let canSignExtend = true
    static let grantedRights: UInt8 = 0
    /// A leaf without write is a readable one.
    static let refusesNoAccess = false
    static let canForceSnoop = false

    /// P; reads are always allowed.
    static let presentBit: UInt64 = 1
    /// R/W.
    static let writeBit: UInt64 = 1 << 1
    /// U/S.
    static let userBit: UInt64 = 1 << 2
    static let accessedBit: UInt64 = 1 << 5
    /// D, in leaves; ignored in table entries.
    static let dirtyBit: UInt64 = 1 << 6
    /// PS: a leaf at levels 1 and 2; at level 0 it is PAT; reserved at 3 and 4 and where the size is not supported.
    static let pageSizeBit: UInt64 = 1 << 7
    /// PAT of a 2 MiB or 1 GiB leaf: no address bit.
    static let largePATBit: UInt64 = 1 << 12
    /// XD; reserved without NXE.
    static let executeDisableBit: UInt64 = 1 << 63
    /// 9, 11, 62:52.
    static let softwareBits: UInt64 = 1 << 9 | 1 << 11 | 0x7ff << 52

    static func rules(_ capabilities: EntryCapabilities) -> EntryRules {
        let address = capabilities.inside & ~capabilities.encryption
        let reserved =
            EntryCapabilities.addressField & ~address & ~capabilities.encryption
            | (capabilities.noExecute ? 0 : executeDisableBit)
        return EntryRules(
            addressMask: address, tableReserved: reserved, leafReserved: reserved, pageSizes: capabilities.pageSizes,
            encodable: capabilities.encodable, encryption: capabilities.encryption,
            rootRights: capabilities.rootProtection.rawValue & 3 | EntryRights.user | EntryRights.execute)
    }

    @inline(__always)
    static func kind(_ word: UInt64, level: Int, _ rules: EntryRules) -> EntryKind {
        if word & presentBit == 0 { return .notPresent }
        if level == 0 { return word & rules.leafReserved == 0 ? .leaf : .invalid(.reservedBits) }
        if word & pageSizeBit == 0 { return word & rules.tableReserved == 0 ? .table : .invalid(.reservedBits) }
        guard rules.hasLeaves(atLevel: level) else { return .invalid(.reservedBits) }
        return word & (rules.leafReserved | lowAddressBits(level)) == 0 ? .leaf : .invalid(.reservedBits)
    }

    /// Address bits that must be 0 in a leaf at `level`, 1 or 2: 20:13 or 29:13.
    @inline(__always)
    static func lowAddressBits(_ level: Int) -> UInt64 {
        (1 &<< UInt64(truncatingIfNeeded: 12 &+ 9 &* level)) &- 0x2000
    }

    @inline(__always)
    static func isPresent(_ word: UInt64) -> Bool { word & presentBit != 0 }

    @inline(__always)
    static func mark(level: Int) -> UInt64 { presentBit }
    @inline(__always)
    static var markStep: UInt64 { 0 }

    @inline(__always)
    static func isTable(_ word: UInt64, mark: UInt64, _ rules: EntryRules) -> Bool {
        word & (rules.tableReserved | presentBit | pageSizeBit) == mark
    }

    @inline(__always)
    static func rights(_ word: UInt64) -> UInt8 {
        // R/W and U/S are where EntryRights has them; XD forbids.
        let allowed = word & (writeBit | userBit) | UInt64(EntryRights.read)
        return UInt8(truncatingIfNeeded: allowed | (word ^ executeDisableBit) &>> 60 & 8)
    }

    @inline(__always)
    static func rootRights(_ rules: EntryRules) -> UInt8 { rules.rootRights }

    @inline(__always)
    static func tableAddress(_ word: UInt64, _ rules: EntryRules) -> UInt64 { word & rules.addressMask }

    @inline(__always)
    static func nextLevel(_ word: UInt64, level: Int) -> Int { level &- 1 }

    @inline(__always)
    static func leafSizeLog2(_ word: UInt64, level: Int, _ rules: EntryRules) -> UInt64 {
        UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
    }

    @inline(__always)
    static func leafAddress(_ word: UInt64, level: Int, _ rules: EntryRules) -> UInt64 {
        word & leafAddressMask(level: level, rules)
    }

    @inline(__always)
    private static func leafAddressMask(level: Int, _ rules: EntryRules) -> UInt64 {
        level == 0 ? rules.addressMask : rules.addressMask & ~largePATBit
    }

    @inline(__always)
    static func runMask(level: Int, _ rules: EntryRules) -> UInt64 {
        presentBit | writeBit | userBit | executeDisableBit | leafAddressMask(level: level, rules)
            | rules.leafReserved | (level == 0 ? 0 : pageSizeBit)
    }

    /// Drivers use the ignored bits, so they are none.
    @inline(__always)
    static func lints(_ word: UInt64, _ kind: EntryKind, level: Int, _ rules: EntryRules) -> EntryLints {
        if case .notPresent = kind, word != 0 { .nonZeroNotPresent } else { [] }
    }

    @inline(__always)
    static func snoops(_ word: UInt64) -> Bool { false }
    @inline(__always)
    static func hasPAT(_ word: UInt64, level: Int) -> Bool {
        word & (level == 0 ? pageSizeBit : largePATBit) != 0
    }

    @inline(__always)
    static func singleSizes(_ rules: EntryRules) -> UInt64 { rules.pageSizes }
    @inline(__always)
    static func encodable(_ rules: EntryRules) -> UInt64 { rules.encodable }

    /// As Linux writes it: write implies read, accessed is set from the start, dirty where the leaf can be written.
    @inline(__always)
    static func slotLeafWord(
        _ address: UInt64, log2: UInt64, rights: UInt8, options: MapOptions, _ rules: EntryRules
    ) -> UInt64 {
        address | presentBit | userBit | accessedBit | (rights & 2 != 0 ? writeBit | dirtyBit : 0)
            | (log2 > 12 ? pageSizeBit : 0) | (options.contains(.mmio) ? 0 : rules.encryption)
    }

    /// As Linux writes it: all rights, accessed.
    @inline(__always)
    static func tableWord(_ address: UInt64, level: Int, _ rules: EntryRules) -> UInt64 {
        address | presentBit | writeBit | userBit | accessedBit | rules.encryption
    }
}
