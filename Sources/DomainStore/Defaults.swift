import Engine
import Hardware
import IOMMUModel

extension UnitDescription {
    /// An Intel VT-d unit as after a reset: 4-level tables (IOVAs of 48 bits) with pages of 4 KiB, 2 MiB and 1 GiB.
    ///
    /// - Parameters:
    ///   - id: from 1; the register block is at 0xfed90000 + 4096 (`id` - 1).
    ///   - segment: the PCI segment that it serves.
    ///   - scalable: scalable mode, with PASIDs of 20 bits; else legacy mode, which has none.
    public static func intelVTd(_ id: UnitID, segment: UInt32 = 0, scalable: Bool = false) -> UnitDescription {
        let capability = VTDCapability(widths: [.bits48], maximumGuestAddressWidth: 48)
        let extended =
            scalable
            ? VTDExtendedCapability(scalable: .all) : VTDExtendedCapability(snoopControl: true, passThrough: true)
        return UnitDescription(
            id: id, segment: segment, registerBase: registerBase(id),
            registers: [
                .init("cap", capability.rawValue), .init("ecap", extended.rawValue), .init("gsts", 0),
                .init("rtaddr", 0),
            ])
    }

    /// An AMD IOMMU as after a reset: host tables (v1) that grow up to 6 levels (IOVAs of 64 bits), 4-level guest tables
    /// (v2) for PASIDs of 20 bits.
    ///
    /// - Parameters:
    ///   - id: from 1; the register block is at 0xfed90000 + 4096 (`id` - 1).
    ///   - segment: the PCI segment that it serves.
    public static func amdVi(_ id: UnitID, segment: UInt32 = 0) -> UnitDescription {
        UnitDescription(
            id: id, kind: .amdVi, segment: segment, registerBase: registerBase(id),
            registers: [
                .init("control", 0), .init("devtab", 0),
                .init("efr", AMDExtendedFeatures(hostLevels: 6, guestLevels: 4).rawValue),
            ])
    }

    private static func registerBase(_ id: UnitID) -> PhysicalAddress {
        PhysicalAddress(0xfed9_0000 + (UInt64(id.rawValue) &- 1) << 12)
    }
}

extension MachineDevice {
    /// A device alone in its group, bound to `vfio-pci`.
    ///
    /// - Parameters:
    ///   - requester: unique in the machine.
    ///   - unit: the unit that its requests go through; of the device's PCI segment.
    ///   - pasidBits: the width of the PASIDs that it can send, 1 to 20; 0: it has none.
    public init(vfio requester: RequesterID, unit: UnitID = UnitID(1), pasidBits: UInt8 = 0) {
        // A number for each requester id of the first 65,536 segments.
        let group = GroupID(requester.segment << 16 | UInt32(requester.rid))
        self.init(requester: requester, unit: unit, group: group, driver: "vfio-pci", pasidBits: pasidBits)
    }
}
