import IOMMUModel

/// One table word and what it means, for display, lint and conformance. Not for hot loops.
public struct PageTableEntry: Sendable, Hashable {
    /// What the hardware makes of a word.
    public enum Kind: Sendable, Hashable {
        /// Maps nothing.
        case empty
        /// Points to the table at this page, whose level is `nextLevel`.
        case table(PhysicalAddress, nextLevel: Int)
        /// Maps `2^pageSizeLog2` bytes from this address on.
        case leaf(PhysicalAddress, pageSizeLog2: Int)
        /// Every access through it faults.
        case invalid(TranslationFault)
    }

    /// As read.
    public let word: UInt64
    /// Of the table that the word stands in; level 0 maps 4 KiB.
    public let level: Int
    /// What the hardware makes of it at this level.
    public let kind: Kind
    /// The rights that this entry alone grants; none unless a table or a leaf.
    public let protection: Protection
    /// A leaf that forces snooping.
    public let snoop: Bool
    /// The hardware's accessed bit; false unless a table or a leaf.
    public let accessed: Bool
    /// The hardware's dirty bit; false unless a leaf.
    public let dirty: Bool
    /// Set bits that belong to software; 0 unless a table or a leaf.
    public let ignoredBits: UInt64
    /// Nothing is mapped, yet the word is not 0: suspicious, no fault.
    public let nonZeroNotPresent: Bool

    /// What `word` means at `level` (0 to 4 for VT-d; it need not be within the configuration's levels).
    public static func decode(_ word: UInt64, level: Int, configuration: PageTableConfiguration) -> PageTableEntry {
        switch configuration.format {
        case .vtdSecondStage: decode(VTDSecondStage.self, word, level: level, configuration.rules)
        }
    }

    private static func decode<Format: PageTableFormat>(
        _ format: Format.Type, _ word: UInt64, level: Int, _ rules: EntryRules
    ) -> PageTableEntry {
        precondition((0...Format.topLevels.upperBound).contains(level), "no such level")
        let entryKind = Format.kind(word, level: level, rules)
        let kind: Kind =
            switch entryKind {
            case .notPresent: .empty
            case .reserved: .invalid(.reservedBits)
            case .table: .table(PhysicalAddress(Format.tableAddress(word, rules)), nextLevel: level - 1)
            case .leaf:
                .leaf(PhysicalAddress(Format.leafAddress(word, level: level, rules)), pageSizeLog2: 12 + 9 * level)
            }
        let valid = entryKind == .table || entryKind == .leaf
        let leaf = entryKind == .leaf
        return PageTableEntry(
            word: word, level: level, kind: kind,
            protection: valid ? Protection(rawValue: Format.rights(word)) : [],
            snoop: leaf && Format.snoops(word),
            accessed: valid && word & Format.accessedBit != 0,
            dirty: leaf && word & Format.dirtyBit != 0,
            ignoredBits: valid ? word & Format.softwareBits : 0,
            nonZeroNotPresent: entryKind == .notPresent && word != 0)
    }
}
