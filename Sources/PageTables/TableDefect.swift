import IOMMUModel

/// Something wrong, or suspicious, in one word of a tree of page tables.
public struct TableDefect: Sendable, Hashable {
    /// What is wrong, or why the list ends.
    public enum Kind: Sendable, Hashable {
        /// Present with a reserved bit set: every access through it faults.
        case reservedBits
        /// Present, but its next level is not below its own (AMD v1): every access through it faults.
        case invalidLevel
        /// Present, but with a size code that no leaf of its level has (AMD v1): every access through it faults.
        case invalidPageSize
        /// A leaf in a table of the sixth level (AMD v1): every access through it faults.
        case leafNotAllowed
        /// A descriptor whose type its level has not (Armv8): every access through it faults.
        case invalidEncoding
        /// An output address above the output size (Armv8): every access through it faults.
        case addressSize
        /// A leaf whose access flag is clear, on a unit that does not set it (Armv8): every access through it faults.
        case accessFlag
        /// Bits that are to be zero are set (Armv8); the hardware ignores them.
        case res0Bits
        /// An item of a contiguous leaf whose address is not that of its place (Armv8): what the hardware makes of the group is
        /// not defined.
        case contiguousMisaligned
        /// Maps nothing, yet is not 0: no fault, but suspicious.
        case nonZeroNotPresent
        /// The address of a large leaf is no multiple of its size (AMD v1); the hardware ignores the low bits.
        case misaligned
        /// The first item of a contiguous entry of `2^pageSizeLog2` bytes that is not like the others, accessed and
        /// dirty bits aside (AMD v1). Told once per entry; the hardware judges each item by itself.
        case contiguousDiffers(pageSizeLog2: Int)
        /// A leaf of 512 GiB: an erratum of the hardware (AMD v1).
        case erratum512G
        /// A present leaf that grants neither read nor write (AMD v1).
        case noAccess
        /// Bits are set that neither the hardware nor a known driver uses (AMD v1).
        case ignoredBits
        /// Points to a table at this address of the guest, which the second stage does not let the hardware read.
        case unmappedGuestTable(PhysicalAddress)
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
    /// Where the word is; `nil` only when the root page itself is absent. Of two stages: in the host's memory.
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
