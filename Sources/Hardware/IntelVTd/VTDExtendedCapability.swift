/// The Extended Capability Register, ECAP_REG at offset 0x10 (VT-d 11.4.3; 10.4.3 in older revisions).
@frozen
public struct VTDExtendedCapability: Sendable, Hashable {
    /// All 64 bits, those without a name here included.
    public var rawValue: UInt64
    /// Any 64 bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Page-walk coherency, bit 0.
    public static let c = BitField("C", bit: 0)
    /// Queued invalidation, bit 1.
    public static let qi = BitField("QI", bit: 1)
    /// Device-TLB support, bit 2.
    public static let dt = BitField("DT", bit: 2)
    /// Pass-through, bit 6.
    public static let pt = BitField("PT", bit: 6)
    /// Snoop control, bit 7.
    public static let sc = BitField("SC", bit: 7)
    /// Scalable-mode translation, bit 43.
    public static let smts = BitField("SMTS", bit: 43)

    /// Walks are coherent with the processor's caches.
    public var coherentWalks: Bool { Self.c.value(in: rawValue) != 0 }
    /// Queued invalidation.
    public var queuedInvalidation: Bool { Self.qi.value(in: rawValue) != 0 }
    /// Device-TLBs (ATS): translation type 1 is allowed.
    public var deviceTLB: Bool { Self.dt.value(in: rawValue) != 0 }
    /// Pass-through: translation type 2 is allowed.
    public var passThrough: Bool { Self.pt.value(in: rawValue) != 0 }
    /// Snoop control: bit 11 of a leaf is SNP, otherwise it is reserved.
    public var snoopControl: Bool { Self.sc.value(in: rawValue) != 0 }
    /// Scalable mode.
    public var scalableMode: Bool { Self.smts.value(in: rawValue) != 0 }

    /// A register as an engine's simulated unit has it.
    public init(snoopControl: Bool, deviceTLB: Bool = false, passThrough: Bool = true) {
        rawValue =
            Self.c.encoded(1) | Self.qi.encoded(1) | Self.dt.encoded(deviceTLB ? 1 : 0)
            | Self.pt.encoded(passThrough ? 1 : 0) | Self.sc.encoded(snoopControl ? 1 : 0)
    }
}
