import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// One unit of an image with what stands in its lookup tables.
struct ImportedUnit {
    var record: UnitRecord
    var hardware: VTDUnitHardware
    var dmar: DMARTable?
    /// Index of the unit in ``dmar``.
    var dmarIndex: Int?
    /// `nil` when the unit translates nothing: translation off, or a root register that aborts every request.
    var lookup: VTDLegacyLookup?

    /// The units of `image` in the order of its meta file, ids from 1.
    static func units(of image: MachineImage, options: ImportOptions) throws(ImportError) -> [ImportedUnit] {
        var units: [ImportedUnit] = []
        let given = image.metadata.units
        for (index, unit) in given.enumerated() {
            guard unit.kind == .intelVTd else {
                throw .notBuilt(path: image.metadata.path, what: "unit \(index): import of \(unit.kind.rawValue)")
            }
            units.append(try ImportedUnit(unit, index: index, count: given.count, image: image, options: options))
        }
        var bases = Set<PhysicalAddress>()
        for (index, unit) in units.enumerated() where !bases.insert(unit.record.registerBase).inserted {
            throw .registerBase(
                path: image.metadata.path, unit: index,
                what: "found register base \(unit.record.registerBase) a second time, expected one per unit "
                    + "(register_base)")
        }
        return units
    }

    private init(
        _ unit: ImageMetadata.Unit, index: Int, count: Int, image: MachineImage, options: ImportOptions
    ) throws(ImportError) {
        let listed = unit.dmar?.units ?? []
        // The unit with that register base; without one, the unit at the same place of the table.
        dmarIndex =
            if let base = unit.registerBase {
                listed.firstIndex { $0.registerBase == base }
            } else {
                index < listed.count ? index : nil
            }
        dmar = unit.dmar
        let width =
            options.hostAddressWidth ?? unit.hostAddressWidth ?? unit.dmar?.hostAddressWidth
            ?? image.metadata.hostAddressWidth ?? 52
        guard (32...64).contains(width) else {
            throw .metadata(
                path: image.metadata.path, place: "host address width of unit \(index)", found: "\(width) bits",
                expected: "32 to 64")
        }
        let segment = unit.segment ?? dmarIndex.map { UInt32(listed[$0].segment) } ?? 0
        record = UnitRecord(
            id: UnitID(UInt32(index + 1)), kind: unit.kind, segment: segment,
            registerBase: unit.registerBase ?? dmarIndex.map { listed[$0].registerBase } ?? PhysicalAddress(0),
            hostAddressWidth: UInt8(min(width, 52)), registers: unit.registers)
        do throws(VTDRegisters.Missing) {
            hardware = VTDUnitHardware(
                registers: try VTDRegisters(hostAddressWidth: min(width, 52)) { unit[register: $0] })
        } catch {
            throw .missingRegister(path: image.metadata.path, unit: index, name: error.name)
        }
        let root = hardware.registers.rootTableAddress
        guard hardware.registers.globalStatus.translationEnabled else { return }
        switch root.mode {
        case .scalable:
            throw .notBuilt(
                path: image.metadata.path, what: "unit \(index): scalable mode (rtaddr \(hex(root.rawValue)), TTM 1)")
        case .reserved, .abortDMA: return
        case .legacy:
            let found = VTDLegacyLookup(hardware, memory: image.memory.view)
            guard !found.rootTableIsAbsent else {
                throw .rootOutsideMemory(
                    path: image.metadata.path, unit: index, register: VTDRegisters.Name.rootTableAddress,
                    value: root.rawValue, page: found.rootTable)
            }
            lookup = found
        }
    }

    func requester(_ rid: UInt16) -> RequesterID { RequesterID(segment: record.segment, rid: rid) }

    /// True when ACPI says that this unit serves `requester`; `nil` when it says nothing.
    func serves(_ requester: RequesterID) -> Bool? {
        guard let dmar, let dmarIndex, let serving = dmar.unitIndex(serving: requester) else { return nil }
        return serving == dmarIndex
    }
}
