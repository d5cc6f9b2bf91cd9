import IOMMUModel

/// AMD I/O page tables for host translations, "v1" (AMD 48882 2.2.3; reference/page-table-formats.md 1.1).
///
/// Every entry says what it leads to (Next Level): 1 to 6 a table of that many levels, 0 a leaf as large as its slot, 7 a
/// leaf whose size is in its address. The vendor's level is this file's plus one.
enum AMDv1: PageTableFormat {
    static let topLevels = 0...5
    static let hasContiguousLeaves = true
    static let hasNextLevel = true
    static let canSignExtend = false
    static let grantedRights = EntryRights.user | EntryRights.execute
    static let refusesNoAccess = false
    static let canForceSnoop = true

    /// PR.
    static let presentBit: UInt64 = 1
    /// A, in every entry, when the device table entry says so (HAD).
    static let accessedBit: UInt64 = 1 << 5
    /// D, in leaves; ignored in table entries.
    static let dirtyBit: UInt64 = 1 << 6
    /// Next Level, 11:9.
    static let nextLevelShift: UInt64 = 9
    static let nextLevelField: UInt64 = 7 << 9
    /// The Next Level of a leaf that has its size in its address.
    static let sizedLeaf: UInt64 = 7
    /// 58:52, reserved in leaves.
    static let leafReserved: UInt64 = 0x7f << 52
    /// U, in leaves: the device may ask for untranslated access only.
    static let untranslatedBit: UInt64 = 1 << 59
    /// FC, in leaves: accesses are coherent whatever the device asks for.
    static let coherentBit: UInt64 = 1 << 60
    /// IR and IW, 62:61.
    static let rightsShift: UInt64 = 61
    static let readWrite: UInt64 = 3 << 61
    /// 4:1, 8:7 and 63; no driver uses them.
    static let softwareBits: UInt64 = 0xf << 1 | 3 << 7 | 1 << 63
    /// Tables of this level hold no leaves (the vendor's sixth).
    static let leaflessLevel = 5

    static func rules(_ capabilities: EntryCapabilities) -> EntryRules {
        // What Linux uses: every power of two from 4 KiB to half of what an address can name, but for the erratum's 512
        // GiB, in the levels that the tree has or can grow to.
        let levels = min(capabilities.maximumTopLevel, leaflessLevel - 1)
        let sizes: UInt64 = (1 << UInt64(min(12 + 9 * (levels + 1), 52)) - 1) & ~0xfff & ~(1 << 39)
        return EntryRules(
            addressMask: EntryCapabilities.addressField & ~capabilities.encryption,
            tableReserved: leafReserved | untranslatedBit | coherentBit, leafReserved: leafReserved, pageSizes: sizes,
            encodable: capabilities.encodable, encryption: capabilities.encryption,
            rootRights: capabilities.rootProtection.rawValue & 3 | grantedRights)
    }

    @inline(__always)
    static func nextLevelCode(_ word: UInt64) -> UInt64 { word &>> nextLevelShift & 7 }

    @inline(__always)
    static func kind(_ word: UInt64, level: Int, _ rules: EntryRules) -> EntryKind {
        if word & presentBit == 0 { return .notPresent }
        let code = nextLevelCode(word)
        // Asked for by itself, since it is what nearly every leaf has.
        if code == 0 { return leafKind(word, level: level) }
        if code == sizedLeaf {
            let slot = UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
            // Larger than the slot, smaller than the whole table.
            guard level == leaflessLevel || leafSizeLog2(word, level: level, rules) &- slot &- 1 < 8 else {
                return .invalid(.invalidPageSize)
            }
            return leafKind(word, level: level)
        }
        guard code <= UInt64(truncatingIfNeeded: level) else { return .invalid(.invalidLevel) }
        return word & rules.tableReserved == 0 ? .table : .invalid(.reservedBits)
    }

    @inline(__always)
    private static func leafKind(_ word: UInt64, level: Int) -> EntryKind {
        guard level != leaflessLevel else { return .invalid(.leafNotAllowed) }
        return word & leafReserved == 0 ? .leaf : .invalid(.reservedBits)
    }

    @inline(__always)
    static func isPresent(_ word: UInt64) -> Bool { word & presentBit != 0 }

    @inline(__always)
    static func mark(level: Int) -> UInt64 { presentBit | UInt64(truncatingIfNeeded: level) &<< nextLevelShift }
    @inline(__always)
    static var markStep: UInt64 { 1 << nextLevelShift }

    @inline(__always)
    static func isTable(_ word: UInt64, mark: UInt64, _ rules: EntryRules) -> Bool {
        word & (presentBit | nextLevelField | leafReserved | untranslatedBit | coherentBit) == mark
    }

    @inline(__always)
    static func rights(_ word: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: word &>> rightsShift & 3) }

    @inline(__always)
    static func rootRights(_ rules: EntryRules) -> UInt8 { rules.rootRights }

    @inline(__always)
    static func tableAddress(_ word: UInt64, _ rules: EntryRules) -> UInt64 { word & rules.addressMask }

    @inline(__always)
    static func nextLevel(_ word: UInt64, level: Int) -> Int {
        Int(truncatingIfNeeded: nextLevelCode(word)) &- 1
    }

    /// Of a sized leaf: the address is ones from bit 12 up to the first zero, which is half the size. The C-bit lies inside
    /// the address and is no part of the code. Without a zero: more than any level has.
    @inline(__always)
    static func leafSizeLog2(_ word: UInt64, level: Int, _ rules: EntryRules) -> UInt64 {
        guard nextLevelCode(word) == sizedLeaf else { return UInt64(truncatingIfNeeded: 12 &+ 9 &* level) }
        let zeros = ~(word & rules.addressMask) & EntryCapabilities.addressField
        return UInt64(truncatingIfNeeded: zeros.trailingZeroBitCount &+ 1)
    }

    @inline(__always)
    static func leafAddress(_ word: UInt64, level: Int, _ rules: EntryRules) -> UInt64 {
        word & rules.addressMask & (~0 &<< leafSizeLog2(word, level: level, rules))
    }

    /// All but A, D, U, FC and the C-bit, so that what a run's first word is suspicious of holds for all of it.
    @inline(__always)
    static func runMask(level: Int, _ rules: EntryRules) -> UInt64 {
        ~(accessedBit | dirtyBit | untranslatedBit | coherentBit | rules.encryption)
    }

    @inline(__always)
    static func lints(_ word: UInt64, _ kind: EntryKind, level: Int, _ rules: EntryRules) -> EntryLints {
        switch kind {
        case .notPresent: return word == 0 ? [] : .nonZeroNotPresent
        case .invalid: return []
        case .table: return word & (softwareBits | dirtyBit) == 0 ? [] : .ignoredBitsSet
        case .leaf:
            var lints: EntryLints = word & softwareBits == 0 ? [] : .ignoredBitsSet
            let slot = UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
            let isSized = nextLevelCode(word) == sizedLeaf
            if !isSized, word & rules.addressMask & ((1 &<< slot) &- 1) != 0 { lints.insert(.misaligned) }
            if !isSized, slot == 39 { lints.insert(.erratum512G) }
            if word & readWrite == 0 { lints.insert(.noAccess) }
            return lints
        }
    }

    @inline(__always)
    static func snoops(_ word: UInt64) -> Bool { word & coherentBit != 0 }
    @inline(__always)
    static func hasPAT(_ word: UInt64, level: Int) -> Bool { false }

    @inline(__always)
    static func singleSizes(_ rules: EntryRules) -> UInt64 { rules.singleSizes }
    @inline(__always)
    static func encodable(_ rules: EntryRules) -> UInt64 { rules.encodable }

    @inline(__always)
    static func slotLeafWord(
        _ address: UInt64, log2: UInt64, rights: UInt8, options: MapOptions, _ rules: EntryRules
    ) -> UInt64 {
        address | presentBit | UInt64(rights & 3) &<< rightsShift | (options.contains(.snoop) ? coherentBit : 0)
            | (options.contains(.mmio) ? 0 : rules.encryption)
    }

    @inline(__always)
    static func leafWord(
        _ address: UInt64, log2: UInt64, rights: UInt8, options: MapOptions, _ rules: EntryRules
    ) -> UInt64 {
        let word = slotLeafWord(address, log2: log2, rights: rights, options: options, rules)
        let size = ((1 &<< (log2 &- 1)) &- 0x1000) | sizedLeaf &<< nextLevelShift
        return slotSizes &>> log2 & 1 == 1 ? word : word | size
    }

    /// Bit `k`: leaves of `2^k` bytes are as large as a slot of their level.
    private static let slotSizes: UInt64 = 1 << 12 | 1 << 21 | 1 << 30 | 1 << 39 | 1 << 48

    /// As Linux writes it: all rights; those of the leaves count.
    @inline(__always)
    static func tableWord(_ address: UInt64, level: Int, _ rules: EntryRules) -> UInt64 {
        address | mark(level: level) | readWrite | rules.encryption
    }
}
