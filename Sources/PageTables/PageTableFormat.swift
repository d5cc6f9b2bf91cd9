import IOMMUModel

/// What a table word is, at its level.
enum EntryKind {
    /// Nothing is mapped, whatever else is in the word.
    case notPresent
    case table
    case leaf
    /// Present, but with a reserved bit set: every access through it faults.
    case reserved
}

/// The bits of a configuration that the inner loops need.
struct EntryRules: Sendable, Hashable {
    /// The bits of a word that may hold an address.
    var addressMask: UInt64
    /// Bits that must be 0 in a table entry.
    var tableReserved: UInt64
    /// Bits that must be 0 in a leaf, whatever its size.
    var leafReserved: UInt64
    /// Bit `k`: leaves of `2^k` bytes exist.
    var pageSizes: UInt64

    /// True when a leaf at `level` exists that is as large as a table slot there.
    @inline(__always)
    func hasLeaves(atLevel level: Int) -> Bool {
        pageSizes &>> UInt64(truncatingIfNeeded: 12 &+ 9 &* level) & 1 == 1
    }
}

/// One page-table format: bits only, all static, so that walker and mapper specialise on it.
///
/// Every format has 4 KiB tables of 512 words and levels that count from the leaf; item size is `2^(12 + 9 * level)`.
protocol PageTableFormat {
    static var topLevels: ClosedRange<Int> { get }
    /// Set by the hardware in every entry it uses.
    static var accessedBit: UInt64 { get }
    /// Set by the hardware in a leaf it writes through.
    static var dirtyBit: UInt64 { get }
    /// Bits that belong to software and carry no meaning for the hardware.
    static var softwareBits: UInt64 { get }

    static func kind(_ word: UInt64, level: Int, _ rules: EntryRules) -> EntryKind
    /// True when something is mapped through the word, or would be without its reserved bits.
    static func isPresent(_ word: UInt64) -> Bool
    /// True when ``kind(_:level:_:)`` answers `table`, at a level above 0.
    static func isTable(_ word: UInt64, _ rules: EntryRules) -> Bool
    /// The rights that an entry grants; those of all levels are ANDed.
    static func rights(_ word: UInt64) -> UInt8
    /// The page that a table entry points to.
    static func tableAddress(_ word: UInt64, _ rules: EntryRules) -> UInt64
    /// The first byte that a leaf at `level` maps.
    static func leafAddress(_ word: UInt64, level: Int, _ rules: EntryRules) -> UInt64
    /// The bits in which consecutive leaves of one run must agree, after adding the item size.
    static func runMask(level: Int, _ rules: EntryRules) -> UInt64
    /// True when a leaf forces snooping.
    static func snoops(_ word: UInt64) -> Bool

    /// A leaf's word without its address; `isLarge` above level 0.
    static func leafFlags(isLarge: Bool, rights: UInt8, snoop: Bool) -> UInt64
    static func tableWord(_ address: UInt64) -> UInt64
}
