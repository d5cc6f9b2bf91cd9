/// The IOMMU Control Register, MMIO offset 0x18 (AMD 48882 3.4.4).
@frozen
public struct AMDControl: Sendable, Hashable {
    /// All 64 bits, those without a name here included.
    public var rawValue: UInt64
    /// Any 64 bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The unit translates, 0.
    public static let iommuEn = BitField("IommuEn", bit: 0)
    /// Events are logged, 2.
    public static let eventLogEn = BitField("EventLogEn", bit: 2)
    /// Commands are fetched, 12.
    public static let cmdBufEn = BitField("CmdBufEn", bit: 12)
    /// Guest translation may be used by device table entries, 16.
    public static let gtEn = BitField("GTEn", bit: 16)
    /// Guest virtual APIC, 17.
    public static let gaEn = BitField("GAEn", bit: 17)
    /// The device table is in 2^n segments, 36:34.
    public static let devTblSegEn = BitField("DevTblSegEn", 36, 34)
    /// The unit sets no dirty bits in guest tables, 48.
    public static let gdUpdateDis = BitField("GDUpdateDis", bit: 48)
    /// The unit sets no accessed bits in guest tables, 54.
    public static let gaUpdateDis = BitField("GAUpdateDis", bit: 54)
    /// GCR3 table root pointers of nested entries are guest addresses, 58.
    public static let gcr3TRPMode = BitField("GCR3TRPMode", bit: 58)

    /// The unit translates; otherwise every request passes unchanged.
    public var translationEnabled: Bool { Self.iommuEn.value(in: rawValue) != 0 }
    /// Device table entries may ask for guest translation.
    public var guestTranslationEnabled: Bool { Self.gtEn.value(in: rawValue) != 0 }
    /// The device table has 2^n segments, each with a base register of its own; 0: one table.
    public var deviceTableSegmentsLog2: Int { Int(truncatingIfNeeded: Self.devTblSegEn.value(in: rawValue)) }
    /// The unit may set accessed and dirty bits in guest tables.
    public var guestAccessedDirty: Bool {
        Self.gdUpdateDis.value(in: rawValue) == 0 && Self.gaUpdateDis.value(in: rawValue) == 0
    }
    /// The GCR3 table root pointer of an entry with host tables is an address of the guest.
    public var guestAddressesGCR3: Bool { Self.gcr3TRPMode.value(in: rawValue) != 0 }

    /// A register with these bits and nothing else.
    public init(
        translationEnabled: Bool, guestTranslationEnabled: Bool = true, guestAddressesGCR3: Bool = true
    ) {
        rawValue =
            Self.iommuEn.encoded(translationEnabled ? 1 : 0) | Self.gtEn.encoded(guestTranslationEnabled ? 1 : 0)
            | Self.gcr3TRPMode.encoded(guestAddressesGCR3 ? 1 : 0)
    }
}
