import Hardware
import IOMMUModel
import PageTables
import Testing

@testable import Engine

/// The kinds of unit that an engine runs on, each with the tables that its domains have.
enum UnitFlavour: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case vtdLegacy, vtdSecondStage, vtdFirstStage, amdV1, amdV2, smmuStage2

    var testDescription: String { rawValue }

    /// Those whose requests may have a PASID.
    static let tagged: [UnitFlavour] = [.vtdSecondStage, .vtdFirstStage, .amdV2]

    var isAMD: Bool { self == .amdV1 || self == .amdV2 }

    /// What a domain of this flavour asks for.
    var format: PageTableFormatKind {
        switch self {
        case .vtdLegacy, .vtdSecondStage: .vtdSecondStage
        case .vtdFirstStage, .amdV2: .x86_64
        case .amdV1: .amdV1
        case .smmuStage2: .armv8Stage2
        }
    }

    /// Two widths, of which every device may have either; AMD's guest tables have one mode per device.
    var widths: [Int] {
        switch self {
        case .vtdLegacy, .vtdSecondStage, .amdV1, .smmuStage2: [39, 48]
        case .vtdFirstStage: [48, 48]
        case .amdV2: [47, 47]
        }
    }

    func description(_ id: UnitID = TestMachine.unit, accessedDirty: Bool = false) -> UnitDescription {
        let base = PhysicalAddress(0xfed9_0000 + UInt64(id.rawValue - 1) << 12)
        if isAMD {
            let features = AMDExtendedFeatures(hostLevels: 6, guestLevels: 5, hostAccessedDirty: true)
            return UnitDescription(
                id: id, kind: .amdVi, registerBase: base,
                registers: [.init("devtab", 0), .init("control", 0), .init("efr", features.rawValue)],
                accessedDirty: accessedDirty)
        }
        if self == .smmuStage2 {
            let registers = ["cr0", "strtab_base_cfg", "strtab_base_hi", "strtab_base_lo"]
            return UnitDescription(
                id: id, kind: .armSMMUv3, registerBase: base,
                registers: [.init("idr0", 1 | 1 << 6 | 2 << 2 | 1 << 18), .init("idr5", 0x15)]
                    + registers.map { .init($0, 0) }, accessedDirty: accessedDirty)
        }
        guard self != .vtdLegacy else { return TestMachine.unitDescription(id, accessedDirty: accessedDirty) }
        return UnitDescription(
            id: id, registerBase: base,
            registers: [
                .init("rtaddr", 0), .init("gsts", 0),
                .init(
                    "cap",
                    VTDCapability(widths: [.bits39, .bits48], maximumGuestAddressWidth: 48).rawValue
                        | VTDCapability.fs1gp.encoded(1)),
                .init("ecap", VTDExtendedCapability(scalable: .all).rawValue),
            ], accessedDirty: accessedDirty)
    }

    /// The test machine with one unit of this flavour, whose devices have PASIDs of 20 bits.
    func machine(accessedDirty: Bool = false, arena: PhysicalRange = TestMachine.arena) throws -> Machine {
        try TestMachine.make(
            devices: TestMachine.devices.map { device in
                var device = device
                device.pasidBits = 20
                return device
            }, units: [description(accessedDirty: accessedDirty)], arena: arena)
    }
}

extension LiveEngine {
    /// An IOAS and an HWPT of `flavour`.
    mutating func space(
        _ flavour: UnitFlavour, unit: UnitID = TestMachine.unit
    ) throws(Errno) -> (ioas: IOASID, hwpt: HWPTID) {
        let ioas = try createIOAS()
        return (ioas, try createHWPT(ioas: ioas, unit: unit, format: flavour.format))
    }
}
