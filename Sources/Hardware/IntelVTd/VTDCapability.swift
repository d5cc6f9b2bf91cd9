/// The Capability Register, CAP_REG at offset 0x08 (VT-d 11.4.2; 10.4.2 in older revisions).
@frozen
public struct VTDCapability: Sendable, Hashable {
    /// All 64 bits, those without a name here included.
    public var rawValue: UInt64
    /// Any 64 bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Number of domains, 2:0: a domain id has 4 + 2 * ND bits.
    public static let nd = BitField("ND", 2, 0)
    /// Caching mode, 7.
    public static let cm = BitField("CM", bit: 7)
    /// Supported address widths, 12:8: bit 1 is 39, bit 2 is 48, bit 3 is 57 bits.
    public static let sagaw = BitField("SAGAW", 12, 8)
    /// Maximum guest address width minus 1, 21:16.
    public static let mgaw = BitField("MGAW", 21, 16)
    /// Second-stage large pages, 37:34: bit 0 is 2 MiB, bit 1 is 1 GiB.
    public static let sslps = BitField("SSLPS", 37, 34)
    /// Page-selective invalidation, 39.
    public static let psi = BitField("PSI", bit: 39)
    /// First-stage 1 GiB pages, 56.
    public static let fs1gp = BitField("FS1GP", bit: 56)
    /// First-stage 5-level paging, 60.
    public static let fs5lp = BitField("FS5LP", bit: 60)

    /// Width of a domain id in bits: 4 to 16.
    public var domainIDBits: Int { min(16, 4 + 2 * Int(Self.nd.value(in: rawValue))) }

    /// Caching mode: not-present entries may be cached (an emulated unit).
    public var cachingMode: Bool { Self.cm.value(in: rawValue) != 0 }

    /// The maximum guest address width in bits, 1 to 64: requests above it fault.
    public var maximumGuestAddressWidth: Int { Int(Self.mgaw.value(in: rawValue)) + 1 }

    /// True when second-stage tables of `width` are supported (SAGAW, bit = AW code).
    public func supports(_ width: VTDAddressWidth) -> Bool {
        Self.sagaw.value(in: rawValue) &>> UInt64(width.rawValue) & 1 != 0
    }

    /// 2 MiB second-stage leaves are supported (SSLPS bit 0).
    public var supports2M: Bool { Self.sslps.value(in: rawValue) & 1 != 0 }

    /// 1 GiB second-stage leaves are supported (SSLPS bit 1).
    public var supports1G: Bool { Self.sslps.value(in: rawValue) & 2 != 0 }

    /// 1 GiB first-stage leaves are supported (FS1GP).
    public var firstStage1G: Bool { Self.fs1gp.value(in: rawValue) != 0 }

    /// First-stage tables may have five levels (FS5LP).
    public var firstStage5Level: Bool { Self.fs5lp.value(in: rawValue) != 0 }

    /// A register as an engine's simulated unit has it: 16-bit domain ids, 256 fault records left out.
    public init(
        widths: [VTDAddressWidth], maximumGuestAddressWidth: Int, supports2M: Bool = true, supports1G: Bool = true,
        firstStage1G: Bool = false, firstStage5Level: Bool = false
    ) {
        var bits = Self.nd.encoded(6) | Self.mgaw.encoded(UInt64(maximumGuestAddressWidth - 1))
        for width in widths { bits |= Self.sagaw.encoded(1 << UInt64(width.rawValue)) }
        bits |= Self.sslps.encoded((supports2M ? 1 : 0) | (supports1G ? 2 : 0))
        bits |= Self.fs1gp.encoded(firstStage1G ? 1 : 0) | Self.fs5lp.encoded(firstStage5Level ? 1 : 0)
        rawValue = bits
    }
}
