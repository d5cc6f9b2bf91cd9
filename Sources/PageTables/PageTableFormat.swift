import IOMMUModel

/// What a table word is, at its level.
enum EntryKind {
    /// Nothing is mapped, whatever else is in the word.
    case notPresent
    case table
    case leaf
    /// Present, but every access through it faults.
    case invalid(TranslationFault)
}

/// One page-table format: bits only, all static, so that walker and mapper specialise on it.
///
/// Every format has 4 KiB tables of 512 words and levels that count from the leaf; a slot spans `2^(12 + 9 * level)`.
protocol PageTableFormat {
    static var topLevels: ClosedRange<Int> { get }
    /// Leaves can take several slots of one table, all with the same word.
    static var hasContiguousLeaves: Bool { get }
    /// Table entries can lead to a level further down than the next one, and a tree can get a new root above its own.
    static var hasNextLevel: Bool { get }
    /// Input addresses can be sign-extended.
    static var canSignExtend: Bool { get }
    /// Set by the hardware in every entry it uses.
    static var accessedBit: UInt64 { get }
    /// Set by the hardware in a leaf it writes through.
    static var dirtyBit: UInt64 { get }
    /// Bits that belong to software and carry no meaning for the hardware.
    static var softwareBits: UInt64 { get }
    /// The rights that the format has no bits for.
    static var grantedRights: UInt8 { get }
    /// An entry without read and write cannot be made.
    static var refusesNoAccess: Bool { get }
    /// An entry can force snooping.
    static var canForceSnoop: Bool { get }
    /// The hardware sets the accessed bit in table entries, too.
    static var marksTables: Bool { get }

    static func rules(_ capabilities: EntryCapabilities) -> EntryRules

    static func kind(_ word: UInt64, level: Int, _ rules: EntryRules) -> EntryKind
    /// True when something is mapped through the word, or would be without its reserved bits.
    static func isPresent(_ word: UInt64) -> Bool
    /// What ``isTable(_:mark:_:)`` expects at `level`, at least 1; less by ``markStep`` one level down.
    static func mark(level: Int) -> UInt64
    static var markStep: UInt64 { get }
    /// True when ``kind(_:level:_:)`` answers `table` and the next level is the one below.
    static func isTable(_ word: UInt64, mark: UInt64, _ rules: EntryRules) -> Bool
    /// The rights that a leaf grants, without ``grantedRights``; those of all levels are ANDed.
    static func rights(_ word: UInt64) -> UInt8
    /// The same of a table entry.
    static func tableRights(_ word: UInt64) -> UInt8
    /// ``EntryRules/rootRights``, a constant where the format has no such thing.
    static func rootRights(_ rules: EntryRules) -> UInt8
    /// The page that a table entry points to.
    static func tableAddress(_ word: UInt64, _ rules: EntryRules) -> UInt64
    /// The level of that table, 0 to `level - 1`.
    static func nextLevel(_ word: UInt64, level: Int) -> Int
    /// The logarithm of what a leaf at `level` maps.
    static func leafSizeLog2(_ word: UInt64, level: Int, _ rules: EntryRules) -> UInt64
    /// The first byte that a leaf at `level` maps: a multiple of its size.
    static func leafAddress(_ word: UInt64, level: Int, _ rules: EntryRules) -> UInt64
    /// The bits in which consecutive leaves of one run must agree, after adding the slot's size.
    static func runMask(level: Int, _ rules: EntryRules) -> UInt64
    /// What is suspicious about a word of that kind.
    static func lints(_ word: UInt64, _ kind: EntryKind, level: Int, _ rules: EntryRules) -> EntryLints
    /// What is suspicious about a word that stands at `index` of its table.
    static func placeLints(_ word: UInt64, _ kind: EntryKind, level: Int, index: Int) -> EntryLints
    /// True when the hardware has written through a leaf, as its word tells.
    static func isDirty(_ word: UInt64) -> Bool
    /// True when a leaf forces snooping.
    static func snoops(_ word: UInt64) -> Bool
    /// True when a leaf at `level` has its PAT bit.
    static func hasPAT(_ word: UInt64, level: Int) -> Bool

    /// ``EntryRules/singleSizes``, or the same by fewer bits.
    static func singleSizes(_ rules: EntryRules) -> UInt64
    /// ``EntryRules/encodable``, or the same by fewer bits.
    static func encodable(_ rules: EntryRules) -> UInt64
    /// The sizes that entries can be made of: ``EntryRules/pageSizes``, and such as no mapping uses.
    static func entrySizes(_ rules: EntryRules) -> UInt64
    /// The word of a leaf of `2^log2` bytes, as large as a slot of its level, at `address`.
    static func slotLeafWord(
        _ address: UInt64, log2: UInt64, rights: UInt8, options: MapOptions, _ rules: EntryRules
    ) -> UInt64
    /// The word of a leaf of any size that exists.
    static func leafWord(
        _ address: UInt64, log2: UInt64, rights: UInt8, options: MapOptions, _ rules: EntryRules
    ) -> UInt64
    /// The word of an entry at `level`, at least 1, for the table at `address`, one level down.
    static func tableWord(_ address: UInt64, level: Int, _ rules: EntryRules) -> UInt64
}

extension PageTableFormat {
    static var marksTables: Bool { true }

    @inline(__always)
    static func tableRights(_ word: UInt64) -> UInt8 { rights(word) }

    @inline(__always)
    static func placeLints(_ word: UInt64, _ kind: EntryKind, level: Int, index: Int) -> EntryLints { [] }

    @inline(__always)
    static func isDirty(_ word: UInt64) -> Bool { word & dirtyBit != 0 }

    static func entrySizes(_ rules: EntryRules) -> UInt64 { rules.pageSizes }

    @inline(__always)
    static func leafWord(
        _ address: UInt64, log2: UInt64, rights: UInt8, options: MapOptions, _ rules: EntryRules
    ) -> UInt64 {
        slotLeafWord(address, log2: log2, rights: rights, options: options, rules)
    }

    /// `iova` with the nine bits of the root's index on top, and those of the levels below it after them: shifts by a
    /// constant are cheaper. A sixth level has but seven.
    @inline(__always)
    static func indices(of iova: UInt64, topLevel: Int) -> UInt64 {
        let shift = UInt64(truncatingIfNeeded: 12 &+ 9 &* topLevel)
        return topLevels.upperBound == 5 && shift > 55 ? iova &>> (shift &- 55) : iova &<< (55 &- shift)
    }
}

/// What a format makes its rules of.
struct EntryCapabilities {
    var hostAddressWidth: Int
    var supports2M: Bool
    var supports1G: Bool
    var snoopControl: Bool
    var deviceTLB: Bool
    var noExecute: Bool
    var encryptionBit: Int?
    var maximumTopLevel: Int
    var rootProtection: Protection
    var accessFlagFaults: Bool

    /// The bits of an entry that can be part of an address.
    static let addressField: UInt64 = 0xf_ffff_ffff_f000

    /// Addresses below the host address width.
    var inside: UInt64 { Self.addressField & ((1 &<< UInt64(hostAddressWidth)) &- 1) }
    /// The C-bit, or 0.
    var encryption: UInt64 { encryptionBit.map { 1 &<< UInt64($0) } ?? 0 }
    /// Addresses below the host address width and below the C-bit.
    var encodable: UInt64 { encryptionBit == nil ? inside : inside & (encryption &- 1) }
    /// 4 KiB, and what is supported of 2 MiB and 1 GiB.
    var pageSizes: UInt64 { 1 << 12 | (supports2M ? 1 << 21 : 0) | (supports1G ? 1 << 30 : 0) }
}
