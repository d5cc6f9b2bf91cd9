import Hardware

/// What a caller can say beside the meta file, and the bounds of the work.
public struct ImportOptions: Sendable, Hashable {
    /// Host address width in bits; overrides what meta file and ACPI say.
    public var hostAddressWidth: Int?
    /// Position of SME's C-bit in physical addresses (AMD); overrides what the meta file says.
    public var encryptionBit: Int?
    /// Table pages recorded, of all domains together. What is beyond is left out of the record, as if the image did not
    /// hold it.
    public var pageBudget: Int
    /// Pieces of translation visited, of all domains together: a damaged tree can name one page 2^36 times. Areas
    /// beyond are left out; the recorded tables still have them.
    public var runBudget: Int
    /// Bounds of each unit's lookup structures. What is beyond is not listed, and so is in no domain.
    public var lookupBudget: LookupBudget

    /// All as given; a width that is not 32 to 64, or a C-bit that is not 32 to 51, makes the import throw.
    public init(
        hostAddressWidth: Int? = nil, encryptionBit: Int? = nil, pageBudget: Int = 1_000_000, runBudget: Int = 1 << 23,
        lookupBudget: LookupBudget = LookupBudget()
    ) {
        self.hostAddressWidth = hostAddressWidth
        self.encryptionBit = encryptionBit
        self.pageBudget = pageBudget
        self.runBudget = runBudget
        self.lookupBudget = lookupBudget
    }
}
