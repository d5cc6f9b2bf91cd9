/// The Extended Feature Register, EFR, MMIO offset 0x30 (AMD 48882 3.4.9).
@frozen
public struct AMDExtendedFeatures: Sendable, Hashable {
    /// All 64 bits, those without a name here included.
    public var rawValue: UInt64
    /// Any 64 bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Prefetch command, 0.
    public static let preFSup = BitField("PreFSup", bit: 0)
    /// Peripheral page requests, 1.
    public static let pprSup = BitField("PPRSup", bit: 1)
    /// x2APIC, 2.
    public static let xtSup = BitField("XTSup", bit: 2)
    /// No-execute and privilege checks, 3.
    public static let nxSup = BitField("NXSup", bit: 3)
    /// Guest translation, 4.
    public static let gtSup = BitField("GTSup", bit: 4)
    /// Invalidate-all command, 6.
    public static let iaSup = BitField("IASup", bit: 6)
    /// Guest virtual APIC, 7.
    public static let gaSup = BitField("GASup", bit: 7)
    /// Hardware error registers, 8.
    public static let heSup = BitField("HESup", bit: 8)
    /// Performance counters, 9.
    public static let pcSup = BitField("PCSup", bit: 9)
    /// Host address translation size, 11:10: 0, 1, 2 are 4, 5, 6 levels; 3 is no host translation.
    public static let hats = BitField("HATS", 11, 10)
    /// Guest address translation size, 13:12: 0 is 4 levels, 1 is 5, 2 is 6.
    public static let gats = BitField("GATS", 13, 12)
    /// Levels of the GCR3 table minus 1 that are supported at most, 15:14.
    public static let glxSup = BitField("GLXSup", 15, 14)
    /// Bits of a PASID minus 1, 36:32.
    public static let pasMax = BitField("PASmax", 36, 32)
    /// User and supervisor pages, 37.
    public static let usSup = BitField("USSup", bit: 37)
    /// Device table segments, 39:38: 2^n at most.
    public static let devTblSegSup = BitField("DevTblSegSup", 39, 38)
    /// Guest I/O protection (DTE.GIoV), 48.
    public static let gioSup = BitField("GIoSup", bit: 48)
    /// Accessed bits of host tables, 49.
    public static let haSup = BitField("HASup", bit: 49)
    /// Enhanced page request handling (DTE.PPR, GPRP), 50.
    public static let ephSup = BitField("EPHSup", bit: 50)
    /// Dirty bits of host tables, 52.
    public static let hdSup = BitField("HDSup", bit: 52)
    /// Secure nested paging, 63.
    public static let snpSup = BitField("SNPSup", bit: 63)

    /// Levels that v1 tables may have, 4 to 6; 0 when the unit translates by no host tables (HATS 3).
    public var hostLevels: Int {
        let code = Int(truncatingIfNeeded: Self.hats.value(in: rawValue))
        return code == 3 ? 0 : code + 4
    }

    /// Guest translation: a device table entry may have GV.
    public var guestTranslation: Bool { Self.gtSup.value(in: rawValue) != 0 }

    /// Levels that v2 tables may have, 4 or 5; 0 without guest translation. A GATS of 6 levels counts as 5: a device
    /// table entry has no code for more.
    public var guestLevels: Int {
        guard guestTranslation else { return 0 }
        return Self.gats.value(in: rawValue) == 0 ? 4 : 5
    }

    /// Levels that a GCR3 table may have, 1 to 3. Code 3 is reserved and counts as the most that exists.
    public var gcr3Levels: Int { min(3, Int(truncatingIfNeeded: Self.glxSup.value(in: rawValue)) + 1) }

    /// Bits of a PASID, 1 to 20.
    public var pasidBits: Int { min(20, Int(truncatingIfNeeded: Self.pasMax.value(in: rawValue)) + 1) }

    /// Requests without a PASID can use the tables of PASID 0 (GIoV).
    public var guestIOProtection: Bool { Self.gioSup.value(in: rawValue) != 0 }

    /// Accessed and dirty bits of host tables can be set by the unit (DTE.HAD).
    public var hostAccessedDirty: Bool {
        Self.haSup.value(in: rawValue) != 0 && Self.hdSup.value(in: rawValue) != 0
    }

    /// A register as a simulated unit has it: these features and nothing else.
    ///
    /// `hostLevels` is 4 to 6; `guestLevels` 4, 5, or `nil` for a unit without guest translation; `gcr3Levels` 1 to 3;
    /// `pasidBits` 1 to 20; other values are a bug of the caller.
    public init(
        hostLevels: Int, guestLevels: Int? = nil, gcr3Levels: Int = 3, pasidBits: Int = 20,
        hostAccessedDirty: Bool = false
    ) {
        var bits = Self.hats.encoded(UInt64(hostLevels - 4)) | Self.iaSup.encoded(1)
        if let guestLevels {
            bits |= Self.gtSup.encoded(1) | Self.gioSup.encoded(1) | Self.nxSup.encoded(1)
            bits |= Self.gats.encoded(UInt64(guestLevels - 4)) | Self.glxSup.encoded(UInt64(gcr3Levels - 1))
            bits |= Self.pasMax.encoded(UInt64(pasidBits - 1))
        }
        if hostAccessedDirty { bits |= Self.haSup.encoded(1) | Self.hdSup.encoded(1) }
        rawValue = bits
    }
}
