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
    /// Memory types, bit 25.
    public static let mts = BitField("MTS", bit: 25)
    /// Nested translation, bit 26.
    public static let nest = BitField("NEST", bit: 26)
    /// Page requests, bit 29.
    public static let prs = BitField("PRS", bit: 29)
    /// Execute requests, bit 30; always 0 since revision 4.0.
    public static let ers = BitField("ERS", bit: 30)
    /// Supervisor requests, bit 31.
    public static let srs = BitField("SRS", bit: 31)
    /// Extended accessed flag, bit 34.
    public static let eafs = BitField("EAFS", bit: 34)
    /// PASID size, 39:35: PASIDs of requests have PSS + 1 bits.
    public static let pss = BitField("PSS", 39, 35)
    /// Requests with a PASID, bit 40.
    public static let pasid = BitField("PASID", bit: 40)
    /// Scalable-mode translation, bit 43.
    public static let smts = BitField("SMTS", bit: 43)
    /// Second-stage accessed and dirty bits, bit 45.
    public static let ssads = BitField("SSADS", bit: 45)
    /// Second-stage translation in scalable mode, bit 46.
    public static let ssts = BitField("SSTS", bit: 46)
    /// First-stage translation, bit 47.
    public static let fsts = BitField("FSTS", bit: 47)
    /// Scalable-mode page-walk coherency, bit 48: walks snoop where the entry says so.
    public static let smpwcs = BitField("SMPWCS", bit: 48)
    /// RID_PASID is a field of the context entry, bit 49; without it untagged requests are looked up under PASID 0.
    public static let rps = BitField("RPS", bit: 49)
    /// Abort-DMA mode, bit 52: RTADDR.TTM may be 3.
    public static let adms = BitField("ADMS", bit: 52)
    /// RID_PRIV is a field of the context entry, bit 53.
    public static let rprivs = BitField("RPRIVS", bit: 53)
    /// Host permission tables, bit 55.
    public static let hpts = BitField("HPTS", bit: 55)
    /// PASIDs in translated requests, bit 56.
    public static let ptrs = BitField("PTRS", bit: 56)

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

    /// Abort-DMA mode.
    public var abortsDMA: Bool { Self.adms.value(in: rawValue) != 0 }

    /// A register as an engine's simulated unit has it.
    public init(snoopControl: Bool, deviceTLB: Bool = false, passThrough: Bool = true) {
        rawValue =
            Self.c.encoded(1) | Self.qi.encoded(1) | Self.dt.encoded(deviceTLB ? 1 : 0)
            | Self.pt.encoded(passThrough ? 1 : 0) | Self.sc.encoded(snoopControl ? 1 : 0)
    }
}
