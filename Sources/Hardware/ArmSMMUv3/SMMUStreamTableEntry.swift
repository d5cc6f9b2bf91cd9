import IOMMUModel

/// A stream table entry: what becomes of the transactions of one StreamID (IHI 0070 5.2). Bits only.
public struct SMMUStreamTableEntry: Sendable, Hashable {
    /// Words 0 to 3; words 4 to 7 (MPAM and the VMS pointer) decide nothing here.
    public var word0: UInt64
    /// The second word.
    public var word1: UInt64
    /// The third word: stage 2.
    public var word2: UInt64
    /// The fourth word: the root of stage 2.
    public var word3: UInt64

    /// All as read; nothing is checked.
    public init(word0: UInt64, word1: UInt64 = 0, word2: UInt64 = 0, word3: UInt64 = 0) {
        self.word0 = word0
        self.word1 = word1
        self.word2 = word2
        self.word3 = word3
    }

    /// Size in 64-bit words.
    public static let wordCount = 8
    /// Size in bytes.
    static let byteCount: UInt64 = 64

    /// V.
    public var isValid: Bool { word0 & 1 != 0 }
    /// Config, 0 to 7: with bit 2 clear every transaction is aborted (1 to 3 are reserved, and the same); 4 bypass, 5 stage
    /// 1, 6 stage 2, 7 both.
    public var configCode: Int { Int(truncatingIfNeeded: Self.config.value(in: word0)) }
    /// EATS, 0 to 3: with 1 the device may ask for translations of its own.
    public var atsCode: UInt64 { Self.eats.value(in: word1) }
    /// S2DS, S2SL0_2 or S2PIE: descriptors of another form (LPA2, permission indirection).
    public var hasExtensions: Bool { word3 & 0xc != 0 || word2 >> 60 & 1 != 0 }
    /// S2VMID.
    public var vmid: UInt16 { UInt16(truncatingIfNeeded: word2) }
    /// 64 - S2T0SZ: input addresses of stage 2 have this many bits, 1 to 64.
    public var inputBits: Int { 64 - Int(truncatingIfNeeded: Self.s2T0SZ.value(in: word2)) }
    /// S2SL0, 0 to 3.
    public var startLevelCode: Int { Int(truncatingIfNeeded: Self.s2SL0.value(in: word2)) }
    /// S2TG, 0 to 3: granules of 4, 64 and 16 KiB.
    public var granuleCode: Int { Int(truncatingIfNeeded: Self.s2TG.value(in: word2)) }
    /// S2PS: output addresses of stage 2 have this many bits, 32 to 52; the reserved 7 is taken as the unit's own size.
    public var outputBits: Int { SMMURegisters.addressBits(Self.s2PS.value(in: word2)) ?? 52 }
    /// S2AA64: the tables are AArch64's.
    public var isAArch64: Bool { Self.s2AA64.value(in: word2) == 1 }
    /// S2ENDI: the tables are big-endian.
    public var isBigEndian: Bool { Self.s2ENDI.value(in: word2) == 1 }
    /// S2AFFD: access flags are not looked at.
    public var ignoresAccessFlag: Bool { Self.s2AFFD.value(in: word2) == 1 }
    /// S2HA: the unit sets access flags.
    public var setsAccessFlag: Bool { Self.s2HA.value(in: word2) == 1 }
    /// S2HD: the unit keeps the dirty state.
    public var setsDirtyState: Bool { Self.s2HD.value(in: word2) == 1 }
    /// S2R: faults of stage 2 are recorded.
    public var recordsFaults: Bool { Self.s2R.value(in: word2) == 1 }
    /// S2TTB: the root of stage 2, 16-byte aligned.
    public var root: PhysicalAddress { PhysicalAddress(Self.s2TTB.value(in: word3)) }

    /// Valid, and aborts every transaction on purpose (Config 0): how drivers fill the entries of streams that they know
    /// nothing of.
    public var isAborting: Bool { isValid && configCode == 0 }
}

extension SMMUStreamTableEntry {
    /// Stream table entry is valid, bit 0.
    public static let v = BitField("V", bit: 0)
    /// What becomes of transactions, bits 3:1.
    public static let config = BitField("Config", 3, 1)
    /// Stage 2: bits of an address that are not input, bits 37:32 of word 2.
    public static let s2T0SZ = BitField("S2T0SZ", word: 2, 37, 32)
    /// Stage 2: level that the walk begins at, bits 39:38 of word 2.
    public static let s2SL0 = BitField("S2SL0", word: 2, 39, 38)
    /// Stage 2: granule, bits 47:46 of word 2.
    public static let s2TG = BitField("S2TG", word: 2, 47, 46)
    /// Stage 2: size of output addresses, bits 50:48 of word 2.
    public static let s2PS = BitField("S2PS", word: 2, 50, 48)
    /// Stage 2: AArch64 tables, bit 51 of word 2.
    public static let s2AA64 = BitField("S2AA64", word: 2, bit: 51)
    /// Stage 2: big-endian tables, bit 52 of word 2.
    public static let s2ENDI = BitField("S2ENDI", word: 2, bit: 52)
    /// Stage 2: no access flag faults, bit 53 of word 2.
    public static let s2AFFD = BitField("S2AFFD", word: 2, bit: 53)
    /// Stage 2: dirty state by the unit, bit 55 of word 2.
    public static let s2HD = BitField("S2HD", word: 2, bit: 55)
    /// Stage 2: access flags by the unit, bit 56 of word 2.
    public static let s2HA = BitField("S2HA", word: 2, bit: 56)
    /// Stage 2: faults are recorded, bit 58 of word 2.
    public static let s2R = BitField("S2R", word: 2, bit: 58)
    /// Stage 2: root table, bits 51:4 of word 3.
    public static let s2TTB = BitField("S2TTB", word: 3, 51, 4, isAddress: true)
    /// ATS, bits 29:28 of word 1.
    public static let eats = BitField("EATS", word: 1, 29, 28)

    /// Fields of the entry (IHI 0070 5.2).
    public static let layout = StructureLayout(
        name: "smmu.ste", wordCount: wordCount,
        fields: [
            v, config, BitField("S1Fmt", 5, 4), BitField("S1ContextPtr", 51, 6, isAddress: true),
            BitField("S1CDMax", 63, 59), BitField("S1DSS", word: 1, 1, 0), BitField("S1CIR", word: 1, 3, 2),
            BitField("S1COR", word: 1, 5, 4), BitField("S1CSH", word: 1, 7, 6), BitField("S2FWB", word: 1, bit: 25),
            BitField("S1MPAM", word: 1, bit: 26), BitField("S1STALLD", word: 1, bit: 27), eats,
            BitField("STRW", word: 1, 31, 30), BitField("SHCFG", word: 1, 45, 44), BitField("S2VMID", word: 2, 15, 0),
            s2T0SZ, s2SL0, BitField("S2IR0", word: 2, 41, 40), BitField("S2OR0", word: 2, 43, 42),
            BitField("S2SH0", word: 2, 45, 44), s2TG, s2PS, s2AA64, s2ENDI, s2AFFD, BitField("S2PTW", word: 2, bit: 54),
            s2HD, s2HA, BitField("S2S", word: 2, bit: 57), s2R, s2TTB, BitField("PARTID", word: 4, 31, 16),
            BitField("PMG", word: 5, 7, 0),
        ], reserved: [], source: "IHI 0070 5.2")
}
