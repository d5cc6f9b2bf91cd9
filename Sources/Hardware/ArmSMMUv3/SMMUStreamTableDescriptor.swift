import IOMMUModel

/// A level 1 stream table descriptor: an array of stream table entries (IHI 0070 5.1). Bits only.
public struct SMMUStreamTableDescriptor: Sendable, Hashable {
    /// As read.
    public var rawValue: UInt64

    /// Any 64 bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Span, 0 to 31: 0 no array, n an array of `2^(n-1)` entries.
    public var span: Int { Int(truncatingIfNeeded: Self.spanField.value(in: rawValue)) }

    /// The entries of its array; 0 when it has none, or a span that a table with `split` has not.
    package func entryCount(split: Int) -> Int { span == 0 || span > split + 1 ? 0 : 1 << (span - 1) }

    /// The array, aligned to its size: lower bits do not count.
    package func array(split: Int) -> PhysicalAddress {
        let bytes = UInt64(max(entryCount(split: split), 1)) * SMMUStreamTableEntry.byteCount
        return PhysicalAddress(Self.pointerField.value(in: rawValue) & ~(bytes - 1))
    }

    /// Bits 4:0.
    public static let spanField = BitField("Span", 4, 0)
    /// Bits 51:6.
    public static let pointerField = BitField("L2Ptr", 51, 6, isAddress: true)

    /// Fields and reserved bits (IHI 0070 5.1).
    public static let layout = StructureLayout(
        name: "smmu.l1std", wordCount: 1, fields: [spanField, pointerField],
        reserved: [BitRange(5, 5), BitRange(63, 56)], source: "IHI 0070 5.1")
}
