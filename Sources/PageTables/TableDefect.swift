import IOMMUModel

/// Something wrong, or suspicious, in one word of a tree of page tables.
public struct TableDefect: Sendable, Hashable {
    /// What is wrong, or why the list ends.
    public enum Kind: Sendable, Hashable {
        /// Present with a reserved bit set: every access through it faults.
        case reservedBits
        /// Maps nothing, yet is not 0: no fault, but suspicious.
        case nonZeroNotPresent
        /// Points to a table at this page, which is not in memory: what it maps is unknown.
        case absentPage(PhysicalAddress)
        /// Points to a table at this page, which an earlier entry uses too, at this or another level.
        case reused(PhysicalAddress)
        /// The budget of pages is spent: this table page and those after it were not read.
        case pageBudgetExceeded(PhysicalAddress)
        /// The budget of defects is spent: this one and those after it are not listed.
        case defectBudgetExceeded
    }

    /// What is wrong.
    public let kind: Kind
    /// Where the word is; `nil` only when the root page itself is absent.
    public let entryAddress: PhysicalAddress?
    /// The word, as read (the root's address when that is absent).
    public let value: UInt64
    /// The level of the table that the word is in; the root's own level when that is absent.
    public let level: Int
    /// The input addresses that the word decides about, at the first use of its table.
    public let range: IOVARange

    /// All as given; nothing is checked.
    public init(kind: Kind, entryAddress: PhysicalAddress?, value: UInt64, level: Int, range: IOVARange) {
        self.kind = kind
        self.entryAddress = entryAddress
        self.value = value
        self.level = level
        self.range = range
    }
}
