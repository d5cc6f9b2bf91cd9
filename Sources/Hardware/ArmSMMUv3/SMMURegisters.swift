import IOMMUModel

/// The registers of one SMMUv3 that decide how it reads its structures.
public struct SMMURegisters: Sendable, Hashable {
    /// SMMU_STRTAB_BASE, offset 0x80.
    public var streamTableBase: UInt64
    /// SMMU_STRTAB_BASE_CFG, offset 0x88.
    public var streamTableConfig: UInt64
    /// SMMU_CR0, offset 0x20; `nil` when unknown: translation counts as on.
    public var control: UInt64?
    /// SMMU_GBPA, offset 0x44: what becomes of transactions while translation is off.
    public var globalBypass: UInt64?
    /// SMMU_IDR0, offset 0x00; `nil` when unknown: both stages, no hardware update of flags.
    public var features: UInt64?
    /// SMMU_IDR5, offset 0x14: bits 2:0 are the output address size.
    public var sizes: UInt64?
    private let width: Int

    /// All as given; `hostAddressWidth` limits what SMMU_IDR5 says, and stands for it when it is unknown.
    public init(
        streamTableBase: UInt64, streamTableConfig: UInt64, control: UInt64? = nil, globalBypass: UInt64? = nil,
        features: UInt64? = nil, sizes: UInt64? = nil, hostAddressWidth: Int
    ) {
        self.streamTableBase = streamTableBase
        self.streamTableConfig = streamTableConfig
        self.control = control
        self.globalBypass = globalBypass
        self.features = features
        self.sizes = sizes
        width = hostAddressWidth
    }

    /// The names under which the registers stand in a meta file and in a unit's record.
    public enum Name {
        /// Lower half of SMMU_STRTAB_BASE.
        public static let streamTableBaseLow = "strtab_base_lo"
        /// Upper half of SMMU_STRTAB_BASE.
        public static let streamTableBaseHigh = "strtab_base_hi"
        /// SMMU_STRTAB_BASE_CFG.
        public static let streamTableConfig = "strtab_base_cfg"
        /// SMMU_CR0.
        public static let control = "cr0"
        /// SMMU_GBPA.
        public static let globalBypass = "gbpa"
        /// SMMU_IDR0.
        public static let features = "idr0"
        /// SMMU_IDR5.
        public static let sizes = "idr5"
    }

    /// STRTAB_BASE.ADDR, bits 51:6, aligned to the size of the table (of level 1, where there are two): lower bits do not
    /// count.
    public var streamTable: PhysicalAddress {
        let address = BitField("ADDR", 51, 6, isAddress: true).value(in: streamTableBase)
        let bytes = isTwoLevel ? max(UInt64(descriptorCount) * 8, 64) : UInt64(1) << UInt64(streamBits) * 64
        return PhysicalAddress(address & ~(bytes - 1))
    }

    /// LOG2SIZE: StreamIDs have this many bits, at most 32.
    public var streamBits: Int { min(Int(streamTableConfig & 0x3f), 32) }
    /// FMT 1: a table of two levels. FMT 2 and 3 are reserved, and taken as linear.
    public var isTwoLevel: Bool { streamTableConfig >> 16 & 3 == 1 && streamBits > split }
    /// FMT, 0 to 3.
    public var formatCode: Int { Int(streamTableConfig >> 16 & 3) }
    /// SPLIT: bits of a StreamID that index an array of level 2: 6, 8 or 10; other values are taken as 6.
    public var split: Int {
        let code = Int(streamTableConfig >> 6 & 0x1f)
        return code == 8 || code == 10 ? code : 6
    }
    /// Descriptors of level 1; 1 where there is one level.
    package var descriptorCount: Int { isTwoLevel ? 1 << (streamBits - split) : 1 }

    /// CR0.SMMUEN; unknown: on.
    public var translationEnabled: Bool { control.map { $0 & 1 != 0 } ?? true }
    /// GBPA.ABORT.
    public var abortsWhenOff: Bool { globalBypass.map { $0 >> 20 & 1 != 0 } ?? false }
    /// IDR0.S2P; unknown: true.
    public var hasStage2: Bool { features.map { $0 & 1 != 0 } ?? true }
    /// VMIDs have this many bits: 16 (IDR0.VMID16; unknown: 16) or 8.
    public var vmidBits: Int { features.map { $0 >> 18 & 1 != 0 } ?? true ? 16 : 8 }
    /// IDR0.HTTU, 7:6: 0 neither flag, 1 access flag, 2 dirty state too; unknown: 2.
    public var flagUpdates: Int { features.map { Int($0 >> 6 & 3) } ?? 2 }

    /// Output addresses have this many bits, 32 to 52 (IDR5.OAS).
    public var outputBits: Int { min(sizes.flatMap { Self.addressBits($0 & 7) } ?? width, width) }

    /// Input addresses of stage 2 with a 4 KiB granule: 25 bits (no small translation tables) to the input address size, which
    /// is the output's, or 40 bits where AArch32 tables are supported (IDR0.TTF), and 48 at most.
    public var inputBits: ClosedRange<Int> {
        let hasAArch32 = features.map { $0 & 4 != 0 } ?? false
        return 25...min(max(outputBits, hasAArch32 ? 40 : 0), 48)
    }

    /// The sizes that OAS, IPS and S2PS name; `nil` for the reserved 7.
    static func addressBits(_ code: UInt64) -> Int? {
        let sizes = [32, 36, 40, 42, 44, 48, 52]
        return code < 7 ? sizes[Int(code)] : nil
    }
}
