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
    /// SMMU_IDR0, offset 0x00; `nil` when unknown: all that it could announce.
    public var features: UInt64?
    /// SMMU_IDR1, offset 0x04: bits 5:0 are the size of StreamIDs; `nil` when unknown: as large as the table's.
    public var streamSizes: UInt64?
    /// SMMU_IDR5, offset 0x14: bits 2:0 are the output address size, bit 4 the granule of 4 KiB.
    public var sizes: UInt64?
    /// SMMU_CR2, offset 0x2c: bit 1 has unknown StreamIDs recorded; `nil` when unknown: they are.
    public var eventControl: UInt64?
    private let width: Int

    /// All as given; `hostAddressWidth`, taken as 32 to 52, limits what SMMU_IDR5 says, and stands for it when it is unknown.
    public init(
        streamTableBase: UInt64, streamTableConfig: UInt64, control: UInt64? = nil, globalBypass: UInt64? = nil,
        features: UInt64? = nil, streamSizes: UInt64? = nil, sizes: UInt64? = nil, eventControl: UInt64? = nil,
        hostAddressWidth: Int
    ) {
        self.streamTableBase = streamTableBase
        self.streamTableConfig = streamTableConfig
        self.control = control
        self.globalBypass = globalBypass
        self.features = features
        self.streamSizes = streamSizes
        self.sizes = sizes
        self.eventControl = eventControl
        width = min(max(hostAddressWidth, 32), 52)
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
        /// SMMU_IDR1.
        public static let streamSizes = "idr1"
        /// SMMU_CR2.
        public static let eventControl = "cr2"
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

    /// LOG2SIZE: StreamIDs have this many bits, at most 32 and what the unit has (IDR1.SIDSIZE).
    public var streamBits: Int { min(Int(streamTableConfig & 0x3f), Int(streamSizes.map { $0 & 0x3f } ?? 32), 32) }
    /// FMT 1: a table of two levels. FMT 2 and 3 are reserved, and taken as linear.
    public var isTwoLevel: Bool { formatCode == 1 }
    /// FMT, 0 to 3.
    public var formatCode: Int { Int(streamTableConfig >> 16 & 3) }
    /// SPLIT: bits of a StreamID that index an array of level 2: 6, 8 or 10; other values are taken as 6.
    public var split: Int {
        let code = Int(streamTableConfig >> 6 & 0x1f)
        return code == 8 || code == 10 ? code : 6
    }
    /// Descriptors of level 1; 1 where there is one level, or where the split has more bits than StreamIDs.
    package var descriptorCount: Int { isTwoLevel ? 1 << max(streamBits - split, 0) : 1 }

    /// CR0.SMMUEN; unknown: on.
    public var translationEnabled: Bool { control.map { $0 & 1 != 0 } ?? true }
    /// GBPA.ABORT.
    public var abortsWhenOff: Bool { globalBypass.map { $0 >> 20 & 1 != 0 } ?? false }
    /// CR2.RECINVSID; unknown: true.
    public var recordsUnknownStreams: Bool { eventControl.map { $0 & 2 != 0 } ?? true }
    /// IDR0.S1P; unknown: true.
    public var hasStage1: Bool { features.map { $0 & 2 != 0 } ?? true }
    /// IDR5.GRAN4K; unknown: true.
    public var hasSmallGranule: Bool { sizes.map { $0 & 16 != 0 } ?? true }
    /// IDR0.TTF, bit 0 of it: tables of AArch32; unknown: true.
    public var hasAArch32: Bool { features.map { $0 & 4 != 0 } ?? true }
    /// IDR0.TTF, bit 1 of it: tables of AArch64; unknown: true.
    public var hasAArch64: Bool { features.map { $0 & 8 != 0 } ?? true }
    /// IDR0.S2P; unknown: true.
    public var hasStage2: Bool { features.map { $0 & 1 != 0 } ?? true }
    /// VMIDs have this many bits: 16 (IDR0.VMID16; unknown: 16) or 8.
    public var vmidBits: Int { features.map { $0 >> 18 & 1 != 0 } ?? true ? 16 : 8 }
    /// IDR0.HTTU, 7:6: 0 neither flag, 1 access flag, 2 dirty state too; unknown: 2.
    public var flagUpdates: Int { features.map { Int($0 >> 6 & 3) } ?? 2 }

    /// Output addresses have this many bits, 32 to 52 (IDR5.OAS).
    public var outputBits: Int { min(sizes.flatMap { Self.addressBits($0 & 7) } ?? width, width) }

    /// Input addresses of stage 2 have this many bits at most: as many as output ones, or 40 where there are tables of AArch32
    /// (IHI 0070 3.4, IAS).
    public var inputAddressBits: Int { max(outputBits, features != nil && hasAArch32 ? 40 : 0) }
    /// Widths of the input addresses of stage 2 with a 4 KiB granule. Fewer than 25 bits need small translation tables
    /// (IDR3.STT), which are not read.
    public var inputBits: ClosedRange<Int> { 25...min(inputAddressBits, 48) }

    /// The sizes that OAS, IPS and S2PS name; `nil` for the reserved 7.
    static func addressBits(_ code: UInt64) -> Int? {
        let sizes = [32, 36, 40, 42, 44, 48, 52]
        return code < 7 ? sizes[Int(code)] : nil
    }
}
