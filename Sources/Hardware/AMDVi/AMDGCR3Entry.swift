import IOMMUModel

/// An entry of a guest CR3 table (AMD 48882 2.2.6.3): 8 bytes, 512 in a page. One format at every level: in level 1 the
/// pointer is a guest's CR3 (the root of its page tables), above it is the next GCR3 table.
@frozen
public struct AMDGCR3Entry: Sendable, Hashable {
    /// The word.
    public var rawValue: UInt64
    /// Any 64 bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Valid, bit 0.
    public static let v = BitField("V", bit: 0)
    /// Guest CR3 or next table, bits 51:12.
    public static let ptr = BitField("Ptr", 51, 12, isAddress: true)

    /// Fields and reserved bits of the entry (AMD 48882 2.2.6.3).
    public static let layout = StructureLayout(
        name: "amd.gcr3", wordCount: 1, fields: [v, ptr], reserved: [BitRange(11, 1), BitRange(63, 52)],
        source: "AMD 48882 2.2.6.3")

    /// A valid entry. A `pointer` that is not 4 KiB aligned or not below 2^52 is a bug of the caller.
    public init(pointer: PhysicalAddress) {
        rawValue = Self.v.encoded(1) | Self.ptr.encoded(pointer.rawValue)
    }

    /// Size in bytes.
    public static let byteCount: UInt64 = 8

    /// V is set: otherwise the hardware looks at no other bit.
    public var isValid: Bool { rawValue & 1 != 0 }

    /// Guest CR3 or next table, 4 KiB aligned, with whatever stands in the C-bit.
    public var pointer: PhysicalAddress { PhysicalAddress(rawValue & 0x000f_ffff_ffff_f000) }

    /// The reserved bits that are set.
    public var violations: [BitRange] { Self.layout.violations([rawValue]) }

    /// True when ``violations`` is not empty; allocates nothing.
    public var hasViolation: Bool { rawValue & 0xfff0_0000_0000_0ffe != 0 }
}
