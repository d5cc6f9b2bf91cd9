import IOMMUModel

/// The Root Table Address Register, RTADDR_REG at offset 0x20 (VT-d 11.4.5; 10.4.6 in older revisions).
///
/// It takes effect only after GCMD.SRTP; translation is on when GSTS.TES is set.
@frozen
public struct VTDRootTableAddress: Sendable, Hashable {
    /// All 64 bits.
    public var rawValue: UInt64
    /// Any 64 bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The Translation Table Mode, bits 11:10.
    public enum Mode: UInt64, Sendable, Hashable, CaseIterable {
        /// Root and context tables of 16-byte entries.
        case legacy = 0
        /// 32-byte context entries and PASID tables; needs ECAP.SMTS, otherwise as ``reserved``.
        case scalable = 1
        /// Every request faults with reason 30h.
        case reserved = 2
        /// Every request is aborted.
        case abortDMA = 3
    }

    /// Translation table mode, bits 11:10.
    public static let ttm = BitField("TTM", 11, 10)
    /// Root table address, bits 63:12.
    public static let rta = BitField("RTA", 63, 12, isAddress: true)

    /// Fields and reserved bits of the register (VT-d 11.4.5).
    public static let layout = StructureLayout(
        name: "vtd.RTADDR", wordCount: 1, fields: [ttm, rta], reserved: [BitRange(9, 0)], source: "VT-d 11.4.5")

    /// Reserved bits 0. A `rootTable` that is not 4 KiB aligned is a bug of the caller.
    public init(mode: Mode, rootTable: PhysicalAddress) {
        rawValue = Self.ttm.encoded(mode.rawValue) | Self.rta.encoded(rootTable.rawValue)
    }

    /// TTM.
    public var mode: Mode {
        switch Self.ttm.value(in: rawValue) {
        case 0: .legacy
        case 1: .scalable
        case 2: .reserved
        default: .abortDMA
        }
    }

    /// The root table, 4 KiB aligned.
    public var rootTable: PhysicalAddress { PhysicalAddress(Self.rta.value(in: rawValue)) }

    /// The reserved bits that are set.
    public var violations: [BitRange] { Self.layout.violations([rawValue]) }
}
