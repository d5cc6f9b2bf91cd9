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
    /// The rights that this entry alone grants, in four bits: ``EntryRights``; 0 unless a table or a leaf.
    let rights: UInt8
    /// A leaf that forces snooping (VT-d: SNP; AMD v1: FC), or maps write-back memory (Armv8).
    public let snoop: Bool
    /// The hardware's accessed bit; false unless a table or a leaf.
    public let accessed: Bool
    /// The hardware's dirty bit; false unless a leaf. Of a contiguous leaf: this item's alone; see ``LeafGroup``.
    public let dirty: Bool
    /// A table or a leaf whose C-bit is set; false when the configuration knows none.
    public let isEncrypted: Bool
    /// A leaf whose PAT bit is set (x86-64).
    public let pat: Bool
    /// Set bits that the hardware leaves to software; 0 unless a table or a leaf.
    public let ignoredBits: UInt64
    /// What is suspicious about it: no access faults by that.
    public let lints: EntryLints

    /// Read and write, as this entry alone grants them; none unless a table or a leaf.
    public var protection: Protection { EntryRights.protection(rights) }
    /// The requests of a device are allowed (x86-64: U/S); false unless a table or a leaf.
    public var isUser: Bool { rights & EntryRights.user != 0 }
    /// Instruction fetches are allowed (x86-64: no XD); false unless a table or a leaf.
    public var isExecutable: Bool { rights & EntryRights.execute != 0 }
    /// Nothing is mapped, yet the word is not 0: suspicious, no fault.
    public var nonZeroNotPresent: Bool { lints.contains(.nonZeroNotPresent) }

    /// The levels that a table entry jumps over, ascending (AMD v1); the input address must be 0 in the bits that they
    /// would index.
    public var skippedLevels: Range<Int> {
        if case .table(_, let nextLevel) = kind { nextLevel + 1..<level } else { level..<level }
    }

    /// The slots of its table that a leaf stands in; 1 unless contiguous (AMD v1, Armv8).
    public var itemCount: Int {
        if case .leaf(_, let pageSizeLog2) = kind {
            Self.itemCount(pageSizeLog2: pageSizeLog2, level: level)
        } else {
            1
        }
    }

    /// The slots of a table at `level` that a leaf of `2^pageSizeLog2` bytes, a size that exists there, stands in.
    public static func itemCount(pageSizeLog2: Int, level: Int) -> Int { 1 << (pageSizeLog2 - 12 - 9 * level) }

    /// What `word` means at `level` (one that the format has; it need not be within the configuration's levels).
    ///
    /// - Parameter index: where in its table it stands, if that is to be judged, too (Armv8: the items of a contiguous leaf).
    public static func decode(
        _ word: UInt64, level: Int, index: Int? = nil, configuration: PageTableConfiguration
    ) -> PageTableEntry {
        switch configuration.format {
        case .vtdSecondStage: decode(VTDSecondStage.self, word, level: level, index: index, configuration.rules)
        case .amdV1: decode(AMDv1.self, word, level: level, index: index, configuration.rules)
        case .x86_64: decode(X86_64.self, word, level: level, index: index, configuration.rules)
        case .armv8Stage2: decode(Armv8Stage2.self, word, level: level, index: index, configuration.rules)
        }
    }

    private static func decode<Format: PageTableFormat>(
        _ format: Format.Type, _ word: UInt64, level: Int, index: Int?, _ rules: EntryRules
    ) -> PageTableEntry {
        precondition((0...Format.topLevels.upperBound).contains(level), "no such level")
        let entryKind = Format.kind(word, level: level, rules)
        var isLeaf = false
        var isValid = true
        let kind: Kind
        switch entryKind {
        case .notPresent: (kind, isValid) = (.empty, false)
        case .invalid(let fault): (kind, isValid) = (.invalid(fault), false)
        case .table:
            kind = .table(
                PhysicalAddress(Format.tableAddress(word, rules)), nextLevel: Format.nextLevel(word, level: level))
        case .leaf:
            isLeaf = true
            kind = .leaf(
                PhysicalAddress(Format.leafAddress(word, level: level, rules)),
                pageSizeLog2: Int(Format.leafSizeLog2(word, level: level, rules)))
        }
        let rights = isLeaf ? Format.rights(word) : Format.tableRights(word)
        let isMarked = isLeaf || isValid && Format.marksTables
        return PageTableEntry(
            word: word, level: level, kind: kind, rights: isValid ? rights | Format.grantedRights : 0,
            snoop: isLeaf && Format.snoops(word), accessed: isMarked && word & Format.accessedBit != 0,
            dirty: isLeaf && Format.isDirty(word), isEncrypted: isValid && word & rules.encryption != 0,
            pat: isLeaf && Format.hasPAT(word, level: level), ignoredBits: isValid ? word & Format.softwareBits : 0,
            lints: Format.lints(word, entryKind, level: level, rules)
                .union(index.map { Format.placeLints(word, entryKind, level: level, index: $0) } ?? []))
    }
}
