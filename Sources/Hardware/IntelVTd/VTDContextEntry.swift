import IOMMUModel

/// A legacy-mode context entry (VT-d 9.3): 16 bytes, one per device and function of a bus, 256 in the table.
@frozen
public struct VTDContextEntry: Sendable, Hashable {
    /// Word 0.
    public var low: UInt64
    /// Word 1.
    public var high: UInt64

    /// Any two words.
    @inlinable public init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// The Translation Type, bits 3:2 of word 0.
    public enum TranslationType: UInt64, Sendable, Hashable, CaseIterable {
        /// Untranslated requests go through the second stage; translation requests are blocked.
        case untranslated = 0
        /// As ``untranslated``, and the device may have a device-TLB; needs ECAP.DT.
        case deviceTLB = 1
        /// Addresses pass unchanged; the table pointer is ignored; needs ECAP.PT.
        case passThrough = 2
        /// Faults with reason 3h.
        case reserved = 3
    }

    /// Present, bit 0.
    public static let p = BitField("P", bit: 0)
    /// Fault Processing Disable, bit 1.
    public static let fpd = BitField("FPD", bit: 1)
    /// Translation Type, bits 3:2.
    public static let tt = BitField("TT", 3, 2)
    /// Second-stage page-table pointer, bits 63:12; those at and above the host address width are reserved.
    public static let ssptptr = BitField("SSPTPTR", 63, 12, isAddress: true)
    /// Address width, bits 2:0 of word 1.
    public static let aw = BitField("AW", word: 1, 2, 0)
    /// For software, bits 6:3 of word 1.
    public static let avail = BitField("AVAIL", word: 1, 6, 3)
    /// Domain id, bits 23:8 of word 1.
    public static let did = BitField("DID", word: 1, 23, 8)

    /// Fields and reserved bits of the entry (VT-d 9.3).
    public static let layout = StructureLayout(
        name: "vtd.context", wordCount: 2, fields: [p, fpd, tt, ssptptr, aw, avail, did],
        reserved: [BitRange(11, 4), BitRange(word: 1, 7, 7), BitRange(word: 1, 63, 24)], source: "VT-d 9.3")

    /// A present entry that translates through the tables at `root`.
    public init(root: PhysicalAddress, width: VTDAddressWidth, domainID: UInt16, deviceTLB: Bool = false) {
        self.init(
            low: Self.p.encoded(1) | Self.tt.encoded(deviceTLB ? 1 : 0) | Self.ssptptr.encoded(root.rawValue),
            high: Self.aw.encoded(UInt64(width.rawValue)) | Self.did.encoded(UInt64(domainID)))
    }

    /// A present entry that passes addresses through. `width` must still be a supported one; Linux and the
    /// specification take the largest.
    public init(passThroughWith width: VTDAddressWidth, domainID: UInt16) {
        self.init(
            low: Self.p.encoded(1) | Self.tt.encoded(TranslationType.passThrough.rawValue),
            high: Self.aw.encoded(UInt64(width.rawValue)) | Self.did.encoded(UInt64(domainID)))
    }

    /// Size in bytes.
    public static let byteCount: UInt64 = 16

    /// P is set: otherwise the hardware looks at no other bit but FPD.
    public var isPresent: Bool { low & 1 != 0 }
    /// Both words are 0.
    public var isZero: Bool { low | high == 0 }
    /// Fault Processing Disable: faults through this entry are not recorded.
    public var faultProcessingDisabled: Bool { low & 2 != 0 }

    /// TT; decided upon in a present entry only.
    public var translationType: TranslationType {
        switch Self.tt.value(in: low) {
        case 0: .untranslated
        case 1: .deviceTLB
        case 2: .passThrough
        default: .reserved
        }
    }

    /// The root of the second-stage tables, 4 KiB aligned; ignored by the hardware when passing through.
    public var root: PhysicalAddress { PhysicalAddress(Self.ssptptr.value(in: low)) }
    /// The raw AW field, 0 to 7.
    public var addressWidthCode: UInt8 { UInt8(truncatingIfNeeded: high & 7) }
    /// The address width, or `nil` for a code that has none.
    public var addressWidth: VTDAddressWidth? { VTDAddressWidth(rawValue: addressWidthCode) }
    /// Four bits for software.
    public var available: UInt8 { UInt8(truncatingIfNeeded: Self.avail.value(in: high)) }
    /// The domain id: the tag of the unit's caches.
    public var domainID: UInt16 { UInt16(truncatingIfNeeded: high >> 8) }

    /// The reserved bits that are set, address bits at and above `hostAddressWidth` among them. The hardware checks
    /// them only in a present entry (fault reason Bh).
    public func violations(hostAddressWidth: Int) -> [BitRange] {
        Self.layout.violations([low, high], hostAddressWidth: hostAddressWidth)
    }

    /// True when ``violations(hostAddressWidth:)`` is not empty; allocates nothing.
    public func hasViolation(hostAddressWidth: Int) -> Bool {
        low & (0xff0 | vtdAddressBits(above: hostAddressWidth)) | high & 0xffff_ffff_ff00_0080 != 0
    }
}
