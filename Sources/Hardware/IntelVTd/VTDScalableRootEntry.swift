import IOMMUModel

/// A scalable-mode root entry (VT-d 9.2): 16 bytes, one per bus, 256 in the root table. Its two words are alike and
/// independent: each leads to the context table of half a bus.
@frozen
public struct VTDScalableRootEntry: Sendable, Hashable {
    /// Word 0, for device and function 0 to 127.
    public var lower: UInt64
    /// Word 1, for device and function 128 to 255.
    public var upper: UInt64

    /// Any two words.
    @inlinable public init(lower: UInt64, upper: UInt64) {
        self.lower = lower
        self.upper = upper
    }

    /// Lower half present, bit 0 of word 0.
    public static let lp = BitField("LP", bit: 0)
    /// Lower context-table pointer, bits 63:12 of word 0; those at and above the host address width are reserved.
    public static let lctp = BitField("LCTP", 63, 12, isAddress: true)
    /// Upper half present, bit 0 of word 1.
    public static let up = BitField("UP", word: 1, bit: 0)
    /// Upper context-table pointer, bits 63:12 of word 1; those at and above the host address width are reserved.
    public static let uctp = BitField("UCTP", word: 1, 63, 12, isAddress: true)

    /// Fields and reserved bits of the entry (VT-d 9.2).
    public static let layout = StructureLayout(
        name: "vtd.sm_root", wordCount: 2, fields: [lp, lctp, up, uctp],
        reserved: [BitRange(11, 1), BitRange(word: 1, 11, 1)], source: "VT-d 9.2")

    /// Size in bytes.
    public static let byteCount: UInt64 = 16

    /// The halves that lead somewhere are present, the others zero.
    public init(lowerTable: PhysicalAddress? = nil, upperTable: PhysicalAddress? = nil) {
        self.init(
            lower: lowerTable.map { Half(contextTable: $0).word } ?? 0,
            upper: upperTable.map { Half(contextTable: $0).word } ?? 0)
    }

    /// Both words are 0.
    public var isZero: Bool { lower | upper == 0 }

    /// The half that serves `rid`.
    public func half(_ rid: UInt16) -> Half { Half(VTDLookupIndex.usesUpperScalableHalf(rid) ? upper : lower) }

    /// One word of the entry.
    @frozen
    public struct Half: Sendable, Hashable {
        /// As read.
        public var word: UInt64

        /// Any word.
        @inlinable public init(_ word: UInt64) { self.word = word }

        /// A present half.
        public init(contextTable: PhysicalAddress) {
            word = VTDScalableRootEntry.lp.encoded(1) | VTDScalableRootEntry.lctp.encoded(contextTable.rawValue)
        }

        /// LP or UP is set: otherwise the hardware looks at no other bit of the word.
        public var isPresent: Bool { word & 1 != 0 }

        /// The context table, 4 KiB aligned, with whatever stands above the host address width.
        public var contextTable: PhysicalAddress { PhysicalAddress(word & ~0xfff) }

        /// The reserved bits that are set, address bits at and above `hostAddressWidth` among them, as ranges of word
        /// `index` (0 or 1). The hardware checks them only in a present half (fault reason 3Ah).
        public func violations(word index: Int, hostAddressWidth: Int) -> [BitRange] {
            VTDScalableRootEntry.layout.violations(
                index == 0 ? [word, 0] : [0, word], hostAddressWidth: hostAddressWidth)
        }

        /// True when ``violations(word:hostAddressWidth:)`` is not empty; allocates nothing.
        public func hasViolation(hostAddressWidth: Int) -> Bool {
            word & (0xffe | vtdAddressBits(above: hostAddressWidth)) != 0
        }
    }
}
