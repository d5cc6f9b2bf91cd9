/// The Global Status Register, GSTS_REG at offset 0x1C, 32 bits (VT-d 11.4.4.2; 10.4.5 in older revisions).
@frozen
public struct VTDGlobalStatus: Sendable, Hashable {
    /// The 32 bits of the register; 63:32 are 0 in hardware.
    public var rawValue: UInt64
    /// Any 64 bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Translation enable status, bit 31.
    public static let tes = BitField("TES", bit: 31)
    /// Root table pointer status, bit 30.
    public static let rtps = BitField("RTPS", bit: 30)
    /// Queued invalidation enable status, bit 26.
    public static let qies = BitField("QIES", bit: 26)
    /// Interrupt remapping enable status, bit 25.
    public static let ires = BitField("IRES", bit: 25)

    /// DMA translation is on; off, every request passes through.
    public var translationEnabled: Bool { Self.tes.value(in: rawValue) != 0 }
    /// RTADDR has taken effect.
    public var rootTablePointerSet: Bool { Self.rtps.value(in: rawValue) != 0 }
    /// Queued invalidation is on.
    public var queuedInvalidationEnabled: Bool { Self.qies.value(in: rawValue) != 0 }
    /// Interrupt remapping is on.
    public var interruptRemappingEnabled: Bool { Self.ires.value(in: rawValue) != 0 }

    /// TES as given, RTPS set, all else 0.
    public init(translationEnabled: Bool) {
        rawValue = Self.tes.encoded(translationEnabled ? 1 : 0) | Self.rtps.encoded(1)
    }
}
