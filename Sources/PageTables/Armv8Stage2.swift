import IOMMUModel

/// Armv8-A VMSAv8-64 stage 2 descriptors with a 4 KiB granule and 48-bit output addresses, as an SMMUv3 reads them (DDI 0487
/// D8.3; IHI 0070 3.4, 5.2; reference/page-table-formats.md 1.4).
///
/// Level 3 here is the vendor's level 0. RES0 bits do not fault: they are lints. An output address above the output size is
/// an Address size fault, a clear access flag an Access flag fault unless the unit sets the flag (S2HA) or does not look at it
/// (S2AFFD). Of a contiguous leaf every item holds its own address. A device's request is unprivileged: bit 54 of XN forbids
/// its instruction fetches.
///
/// Not modelled: hardware update of the dirty state (S2HD), several concatenated root tables, LPA2.
enum Armv8Stage2: PageTableFormat {
    static let topLevels = 1...3
    /// Items are leaves by themselves: they do not hold one word.
    static let hasContiguousLeaves = false
    static let hasNextLevel = false
    static let canSignExtend = false
    static let grantedRights = EntryRights.user
    static let refusesNoAccess = false
    static let canForceSnoop = true
    static let marksTables = false

    static let validBit: UInt64 = 1
    /// Bits 1:0 of a table, and of a page at level 0; a block has bit 1 clear.
    static let tableOrPage: UInt64 = 3
    /// S2AP, 7:6: read, write.
    static let rightsShift: UInt64 = 6
    /// AF, in leaves.
    static let accessedBit: UInt64 = 1 << 10
    /// None without S2HD.
    static let dirtyBit: UInt64 = 0
    /// S2AP[1] beside DBM: written through.
    static let dirtyState: UInt64 = 1 << 7 | modifierBit
    /// DBM.
    static let modifierBit: UInt64 = 1 << 51
    /// Contiguous: one of 16.
    static let contiguousBit: UInt64 = 1 << 52
    /// XN[1]; with it, no instruction fetch of unprivileged software.
    static let executeNeverBit: UInt64 = 1 << 54
    /// XN, 54:53.
    static let executeNever: UInt64 = 3 << 53
    /// nT, of a block: no address bit.
    static let noTranslationBit: UInt64 = 1 << 16
    /// 47:12.
    static let addressField: UInt64 = 0xffff_ffff_f000
    /// 58:55, and in leaves PBHA, 62:59, and 63.
    static let softwareBits: UInt64 = 0x1ff << 55
    /// 50:48 in leaves; of a table they are ignored.
    static let leafZero: UInt64 = 7 << 48
    /// 63:59 in tables.
    static let tableZero: UInt64 = 0x1f << 59
    /// The items of a contiguous leaf, as a logarithm.
    static let contiguousLog2: UInt64 = 4

    static func rules(_ capabilities: EntryCapabilities) -> EntryRules {
        let inside = capabilities.inside & addressField
        let outside = addressField & ~inside
        return EntryRules(
            addressMask: inside, tableReserved: outside,
            leafReserved: outside | (capabilities.accessFlagFaults ? accessedBit : 0),
            pageSizes: capabilities.pageSizes, encodable: inside)
    }

    @inline(__always)
    static func kind(_ word: UInt64, level: Int, _ rules: EntryRules) -> EntryKind {
        if word & validBit == 0 { return .notPresent }
        if level > 0, word & tableOrPage == tableOrPage {
            return word & rules.tableReserved == 0 ? .table : .invalid(.addressSize)
        }
        guard (level == 0) == (word & tableOrPage == tableOrPage), rules.hasLeaves(atLevel: level) else {
            return .invalid(.invalidEncoding)
        }
        // AF must be one where it is looked at, the others zero.
        let wrong = (word ^ accessedBit) & rules.leafReserved
        guard wrong != 0 else { return .leaf }
        return .invalid(wrong & ~accessedBit != 0 ? .addressSize : .accessFlag)
    }

    @inline(__always)
    static func isPresent(_ word: UInt64) -> Bool { word & validBit != 0 }

    @inline(__always)
    static func mark(level: Int) -> UInt64 { tableOrPage }
    @inline(__always)
    static var markStep: UInt64 { 0 }

    @inline(__always)
    static func isTable(_ word: UInt64, mark: UInt64, _ rules: EntryRules) -> Bool {
        word & (rules.tableReserved | tableOrPage) == mark
    }

    @inline(__always)
    static func rights(_ word: UInt64) -> UInt8 {
        UInt8(truncatingIfNeeded: word &>> rightsShift & 3 | (word ^ executeNeverBit) &>> 51 & 8)
    }

    /// Tables of stage 2 restrict nothing.
    @inline(__always)
    static func tableRights(_ word: UInt64) -> UInt8 { EntryRights.all }

    @inline(__always)
    static func rootRights(_ rules: EntryRules) -> UInt8 { EntryRights.all }

    @inline(__always)
    static func tableAddress(_ word: UInt64, _ rules: EntryRules) -> UInt64 { word & rules.addressMask }

    @inline(__always)
    static func nextLevel(_ word: UInt64, level: Int) -> Int { level &- 1 }

    @inline(__always)
    static func leafSizeLog2(_ word: UInt64, level: Int, _ rules: EntryRules) -> UInt64 {
        slotLog2(level) &+ (word & contiguousBit == 0 ? 0 : contiguousLog2)
    }

    /// Of the item: a multiple of its slot.
    @inline(__always)
    static func leafAddress(_ word: UInt64, level: Int, _ rules: EntryRules) -> UInt64 {
        word & rules.addressMask & ~0 &<< slotLog2(level)
    }

    @inline(__always)
    private static func slotLog2(_ level: Int) -> UInt64 { UInt64(truncatingIfNeeded: 12 &+ 9 &* level) }

    /// All but what software may use, and AF where either value translates.
    @inline(__always)
    static func runMask(level: Int, _ rules: EntryRules) -> UInt64 {
        ~(softwareBits | (accessedBit & ~rules.leafReserved))
    }

    @inline(__always)
    static func lints(_ word: UInt64, _ kind: EntryKind, level: Int, _ rules: EntryRules) -> EntryLints {
        switch kind {
        case .notPresent: return word == 0 ? [] : .nonZeroNotPresent
        case .invalid: return []
        case .table: return word & tableZero == 0 ? [] : .res0Bits
        case .leaf:
            let low = addressField & ~noTranslationBit & ((1 &<< slotLog2(level)) &- 1)
            return word & (leafZero | low) == 0 ? [] : .res0Bits
        }
    }

    /// An item's address says which of the 16 it is.
    @inline(__always)
    static func placeLints(_ word: UInt64, _ kind: EntryKind, level: Int, index: Int) -> EntryLints {
        guard case .leaf = kind, word & contiguousBit != 0 else { return [] }
        let item = Int(truncatingIfNeeded: word &>> slotLog2(level) & 15)
        return item == index & 15 ? [] : .contiguousMisaligned
    }

    @inline(__always)
    static func isDirty(_ word: UInt64) -> Bool { word & dirtyState == dirtyState }
    /// Normal memory, written back: accesses snoop.
    @inline(__always)
    static func snoops(_ word: UInt64) -> Bool { word &>> 2 & 15 == 15 }
    @inline(__always)
    static func hasPAT(_ word: UInt64, level: Int) -> Bool { false }

    @inline(__always)
    static func singleSizes(_ rules: EntryRules) -> UInt64 { rules.pageSizes }
    @inline(__always)
    static func encodable(_ rules: EntryRules) -> UInt64 { rules.encodable }
    /// Entries of contiguous leaves can be made one by one; no mapping makes them.
    static func entrySizes(_ rules: EntryRules) -> UInt64 { rules.pageSizes * (1 + 1 << contiguousLog2) }

    /// As Linux writes it: normal cacheable, non-cacheable or device memory; inner shareable where it is cached.
    @inline(__always)
    static func slotLeafWord(
        _ address: UInt64, log2: UInt64, rights: UInt8, options: MapOptions, _ rules: EntryRules
    ) -> UInt64 {
        let memory: UInt64 = options.contains(.mmio) ? 1 : options.contains(.snoop) ? 15 : 5
        let shareability: UInt64 = options.contains(.snoop) ? 3 : 2
        return address | (log2 == 12 ? tableOrPage : validBit) | memory &<< 2 | UInt64(rights & 3) &<< rightsShift
            | shareability &<< 8 | accessedBit | (options.contains(.noExecute) ? executeNever : 0)
    }

    /// Of the first item, where it is one of 16.
    @inline(__always)
    static func leafWord(
        _ address: UInt64, log2: UInt64, rights: UInt8, options: MapOptions, _ rules: EntryRules
    ) -> UInt64 {
        let isContiguous = rules.pageSizes &>> log2 & 1 == 0
        return slotLeafWord(
            address, log2: isContiguous ? log2 &- contiguousLog2 : log2, rights: rights, options: options, rules)
            | (isContiguous ? contiguousBit : 0)
    }

    @inline(__always)
    static func tableWord(_ address: UInt64, level: Int, _ rules: EntryRules) -> UInt64 { address | tableOrPage }
}
