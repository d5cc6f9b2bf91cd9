import IOMMUModel

/// One lookup entry that the hardware read on its way to a context, for display.
public struct LookupStep: Sendable, Hashable {
    /// Its layout: names and values of the fields come from ``StructureLayout/decode(_:)``.
    public var layout: StructureLayout
    /// Of its first word.
    public var address: PhysicalAddress
    /// As read.
    public var words: [UInt64]
    /// Reserved bits that are set, the unit's capabilities considered.
    public var violations: [BitRange]

    /// All as given; nothing is checked.
    public init(layout: StructureLayout, address: PhysicalAddress, words: [UInt64], violations: [BitRange]) {
        self.layout = layout
        self.address = address
        self.words = words
        self.violations = violations
    }
}
