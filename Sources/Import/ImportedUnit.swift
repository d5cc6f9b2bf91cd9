import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// One unit of an image with what stands in its lookup structures.
struct ImportedUnit {
    var record: UnitRecord
    var hardware: IOMMUHardware
    /// What ACPI says of the units, and which of them this one is.
    var firmware: FirmwareUnit
    /// `nil` when the unit translates nothing: translation off, or a root register that aborts every request.
    var listing: LookupListing?

    /// The units of `image` in the order of its meta file, ids from 1.
    static func units(of image: MachineImage, options: ImportOptions) throws(ImportError) -> [ImportedUnit] {
        var units: [ImportedUnit] = []
        for (index, unit) in image.metadata.units.enumerated() {
            units.append(try ImportedUnit(unit, index: index, image: image, options: options))
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
        _ unit: ImageMetadata.Unit, index: Int, image: MachineImage, options: ImportOptions
    ) throws(ImportError) {
        let path = image.metadata.path
        firmware = FirmwareUnit(unit, index: index)
        let width =
            options.hostAddressWidth ?? unit.hostAddressWidth ?? firmware.hostAddressWidth
            ?? image.metadata.hostAddressWidth ?? 52
        guard (32...64).contains(width) else {
            throw .metadata(
                path: path, place: "host address width of unit \(index)", found: "\(width) bits", expected: "32 to 64")
        }
        let encryption = options.encryptionBit ?? image.metadata.encryptionBit
        if let encryption, !(32...51).contains(encryption) {
            throw .metadata(
                path: path, place: "C-bit of unit \(index)", found: "\(encryption)", expected: "a bit from 32 to 51")
        }
        record = UnitRecord(
            id: UnitID(UInt32(index + 1)), kind: unit.kind, segment: unit.segment ?? firmware.segment ?? 0,
            registerBase: unit.registerBase ?? firmware.registerBase ?? PhysicalAddress(0),
            hostAddressWidth: UInt8(min(width, 52)), registers: unit.registers,
            encryptionBit: encryption.map { UInt8($0) })
        let found: IOMMUHardware?
        do throws(IOMMUHardware.MissingRegister) {
            found = try IOMMUHardware(
                kind: unit.kind, hostAddressWidth: min(width, 52), encryptionBit: encryption,
                updatesAccessedDirty: false
            ) { unit[register: $0] }
        } catch {
            throw .missingRegister(path: path, unit: index, name: error.name)
        }
        guard let found else { throw .notBuilt(path: path, what: "unit \(index): import of \(unit.kind.rawValue)") }
        hardware = found
        // A register may say it (SMMUv3: IDR5.OAS).
        record.hostAddressWidth = UInt8(found.hostAddressWidth)
        guard hardware.readsTables else { return }
        let listing = hardware.listing(memory: image.memory.view, budget: options.lookupBudget)
        guard !listing.rootIsAbsent else {
            let register = hardware.rootRegister
            throw .rootOutsideMemory(
                path: path, unit: index, register: register.name, value: register.value, page: listing.root)
        }
        self.listing = listing
        record.accessedDirty = listing.entries.contains { entry in
            // In first-stage tables the hardware sets these bits always.
            entry.host?.configuration.accessedDirty == true && entry.host?.configuration.format != .x86_64
        }
    }

    func requester(_ rid: UInt16) -> RequesterID { RequesterID(segment: record.segment, rid: rid) }
}

extension LookupListing.Entry {
    /// The host's tables that its requests go through.
    var host: TranslationStage? {
        if case .context(let context) = resolution { context.path.host } else { nil }
    }
}

extension IOMMUHardware {
    /// The register that the lookup structures are found by.
    fileprivate var rootRegister: (name: String, value: UInt64) {
        switch self {
        case .vtd(let unit):
            (VTDRegisters.Name.rootTableAddress, unit.registers.rootTableAddress.rawValue)
        case .amd(let unit): (AMDRegisters.Name.deviceTableBase, unit.registers.deviceTableBase.rawValue)
        case .smmu(let unit): (SMMURegisters.Name.streamTableBaseLow, unit.registers.streamTableBase)
        }
    }
}
