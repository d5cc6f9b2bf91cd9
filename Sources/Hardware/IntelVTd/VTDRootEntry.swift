import IOMMUModel

/// A legacy-mode root entry (VT-d 9.1): 16 bytes, one per bus, 256 in the root table.
@frozen
public struct VTDRootEntry: Sendable, Hashable {
    /// Word 0.
    public var low: UInt64
    /// Word 1, all reserved.
    public var high: UInt64

    /// Any two words.
    @inlinable public init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// Present, bit 0.
    public static let p = BitField("P", bit: 0)
    /// Context-table pointer, bits 63:12; those at and above the host address width are reserved.
    public static let ctp = BitField("CTP", 63, 12, isAddress: true)

    /// Fields and reserved bits of the entry (VT-d 9.1).
    public static let layout = StructureLayout(
        name: "vtd.root", wordCount: 2, fields: [p, ctp], reserved: [BitRange(11, 1), BitRange(word: 1, 63, 0)],
        source: "VT-d 9.1")

    /// A present entry.
    public init(contextTable: PhysicalAddress) {
        self.init(low: Self.p.encoded(1) | Self.ctp.encoded(contextTable.rawValue), high: 0)
    }

    /// Size in bytes.
    public static let byteCount: UInt64 = 16

    /// P is set: otherwise the hardware looks at no other bit.
    public var isPresent: Bool { low & 1 != 0 }
    /// Both words are 0.
    public var isZero: Bool { low | high == 0 }

    /// The context table, 4 KiB aligned, with whatever stands above the host address width.
    public var contextTable: PhysicalAddress { PhysicalAddress(Self.ctp.value(in: low)) }

    /// The reserved bits that are set, address bits at and above `hostAddressWidth` among them. The hardware checks
    /// them only in a present entry (fault reason Ah).
    public func violations(hostAddressWidth: Int) -> [BitRange] {
        Self.layout.violations([low, high], hostAddressWidth: hostAddressWidth)
    }

    /// True when ``violations(hostAddressWidth:)`` is not empty; allocates nothing.
    public func hasViolation(hostAddressWidth: Int) -> Bool {
        low & (0xffe | vtdAddressBits(above: hostAddressWidth)) | high != 0
    }
}

/// The bits of a 63:12 address field at and above `width`, 12 to 64.
func vtdAddressBits(above width: Int) -> UInt64 {
    width >= 64 ? 0 : ~0 << UInt64(max(12, width))
}
