import IOMMUModel

/// The Root Table Address Register, RTADDR_REG at offset 0x20 (VT-d 11.4.5; 10.4.6 in older revisions).
///
/// It takes effect only after GCMD.SRTP; translation is on when GSTS.TES is set.
@frozen
public struct VTDRootTableAddress: Sendable, Hashable {
    public var rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The Translation Table Mode, bits 11:10.
    public enum Mode: UInt64, Sendable, Hashable, CaseIterable {
        case legacy = 0
        case scalable = 1
        case reserved = 2
        /// Every request is aborted.
        case abortDMA = 3
    }

    public static let ttm = BitField("TTM", 11, 10)
    public static let rta = BitField("RTA", 63, 12, isAddress: true)

    public static let layout = StructureLayout(
        name: "vtd.RTADDR", wordCount: 1, fields: [ttm, rta], reserved: [BitRange(9, 0)], source: "VT-d 11.4.5")

    public init(mode: Mode, rootTable: PhysicalAddress) {
        rawValue = Self.ttm.encoded(mode.rawValue) | Self.rta.encoded(rootTable.rawValue)
    }

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
