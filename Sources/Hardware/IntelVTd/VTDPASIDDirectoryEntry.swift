import IOMMUModel

/// A PASID directory entry (VT-d 9.5): 8 bytes, one per 64 PASIDs. The directory is 2^(PDTS + 7) of them in one piece.
@frozen
public struct VTDPASIDDirectoryEntry: Sendable, Hashable {
    /// The word.
    public var word: UInt64

    /// Any word.
    @inlinable public init(_ word: UInt64) { self.word = word }

    /// Present, bit 0.
    public static let p = BitField("P", bit: 0)
    /// Fault Processing Disable, bit 1.
    public static let fpd = BitField("FPD", bit: 1)
    /// PASID-table pointer, bits 63:12; those at and above the host address width are reserved.
    public static let smptblptr = BitField("SMPTBLPTR", 63, 12, isAddress: true)

    /// Fields and reserved bits of the entry (VT-d 9.5).
    public static let layout = StructureLayout(
        name: "vtd.pasid_dir", wordCount: 1, fields: [p, fpd, smptblptr], reserved: [BitRange(11, 2)],
        source: "VT-d 9.5")

    /// Size in bytes.
    public static let byteCount: UInt64 = 8

    /// A present entry.
    public init(table: PhysicalAddress) { word = Self.p.encoded(1) | Self.smptblptr.encoded(table.rawValue) }

    /// P is set: otherwise the hardware looks at no other bit but FPD.
    public var isPresent: Bool { word & 1 != 0 }
    /// Nothing but FPD is set.
    public var isEmpty: Bool { word & ~2 == 0 }
    /// Fault Processing Disable; counts in a not-present entry too.
    public var faultProcessingDisabled: Bool { word & 2 != 0 }
    /// The PASID table, 4 KiB aligned, with whatever stands above the host address width.
    public var table: PhysicalAddress { PhysicalAddress(word & ~0xfff) }

    /// The reserved bits that are set, address bits at and above `hostAddressWidth` among them. The hardware checks
    /// them only in a present entry (fault reason 52h).
    public func violations(hostAddressWidth: Int) -> [BitRange] {
        Self.layout.violations([word], hostAddressWidth: hostAddressWidth)
    }

    /// True when ``violations(hostAddressWidth:)`` is not empty; allocates nothing.
    public func hasViolation(hostAddressWidth: Int) -> Bool {
        word & (0xffc | vtdAddressBits(above: hostAddressWidth)) != 0
    }
}
