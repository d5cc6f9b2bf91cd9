import IOMMUModel

/// One stage of translation: a tree of page tables and where it begins.
public struct TranslationStage: Sendable, Hashable {
    /// What the words of the tables mean.
    public var configuration: PageTableConfiguration
    /// The root table, 4 KiB aligned. Of a first stage that a second one translates: an address of the guest.
    public var root: PhysicalAddress

    /// Both as given; nothing is checked.
    public init(configuration: PageTableConfiguration, root: PhysicalAddress) {
        self.configuration = configuration
        self.root = root
    }
}
