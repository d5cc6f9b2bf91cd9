/// The AW field of a context entry: width of the input address and depth of the tables (VT-d 9.3).
public enum VTDAddressWidth: UInt8, Sendable, Hashable, CaseIterable {
    /// 39 bits, three levels.
    case bits39 = 1
    /// 48 bits, four levels.
    case bits48 = 2
    /// 57 bits, five levels.
    case bits57 = 3

    /// Width of the input address in bits.
    public var bits: Int { 30 + 9 * Int(rawValue) }

    /// Level of the root table, counted from the leaf: level 0 maps 4 KiB.
    public var topLevel: Int { Int(rawValue) + 1 }

    /// The width whose tables have their root at `topLevel` (2, 3 or 4).
    public init?(topLevel: Int) {
        guard (2...4).contains(topLevel) else { return nil }
        self.init(rawValue: UInt8(topLevel - 1))
    }
}
