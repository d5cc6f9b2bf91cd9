import CReference
import IOMMUModel
import PageTables

/// The formats that are measured, each in one shape: four levels, 48 bits of input, 46 of output so that the reserved mask
/// is not empty, leaves of all sizes, a C-bit where the format can have one.
public enum MeasuredFormat: String, CaseIterable {
    case vtd, amd, x86

    /// In words.
    public var title: String {
        switch self {
        case .vtd: "VT-d second stage"
        case .amd: "AMD v1"
        case .x86: "x86-64"
        }
    }

    private static let hostAddressWidth = 46
    private static let encryptionBit = 51

    /// For the side of Swift. An AMD v1 tree does not grow: the other side cannot.
    public var configuration: PageTableConfiguration {
        let configuration =
            switch self {
            case .vtd: PageTableConfiguration(topLevel: 3, hostAddressWidth: Self.hostAddressWidth)
            case .amd:
                PageTableConfiguration(
                    format: .amdV1, topLevel: 3, maximumAddressBits: 48, hostAddressWidth: Self.hostAddressWidth,
                    encryptionBit: Self.encryptionBit)
            case .x86:
                PageTableConfiguration(
                    format: .x86_64, topLevel: 3, hostAddressWidth: Self.hostAddressWidth, signExtended: true,
                    encryptionBit: Self.encryptionBit)
            }
        return configuration!
    }

    /// The same for the side of C.
    var reference: ref_config {
        let width = Int32(Self.hostAddressWidth)
        let encryption = Int32(Self.encryptionBit)
        return switch self {
        case .vtd: ref_make_config(REF_VTD_SECOND_STAGE, 3, width, -1)
        case .amd: ref_make_config(REF_AMD_V1, 3, width, encryption)
        case .x86: ref_make_config(REF_X86_64, 3, width, encryption)
        }
    }

    /// The page that a healthy table entry points to.
    func tablePage(_ entry: UInt64) -> UInt64 { entry & 0xf_ffff_ffff_f000 & ~(1 << UInt64(Self.encryptionBit)) }

    /// What a healthy table entry is not: reserved bits, bits of leaves, a table outside of memory, another next level. Each
    /// is present and none is a table that can be used.
    func damagedTables(_ entry: UInt64) -> [UInt64] {
        let nowhere = entry & ~tablePage(entry) | 1 << 45
        return switch self {
        case .vtd: [entry | 1 << 47, entry | 1 << 11, entry | 1 << 7, nowhere]
        case .amd:
            [entry | 1 << 52, entry | 1 << 60, entry & ~(7 << 9) | 1 << 9, entry | 4 << 9, entry | 7 << 9, nowhere]
        case .x86: [entry | 1 << 47, entry | 1 << 7, nowhere]
        }
    }

    /// What takes rights from an entry, or all it says.
    func withRightsTaken(_ entry: UInt64) -> [UInt64] {
        switch self {
        case .vtd: [entry ^ 1, entry ^ 2, entry ^ 3]
        case .amd: [entry ^ 1, entry ^ 1 << 61, entry ^ 1 << 62, entry ^ 3 << 61]
        case .x86: [entry ^ 1, entry ^ 2, entry ^ 4, entry | 1 << 63]
        }
    }
}
