import Engine
import FoundationEssentials
import IOMMUModel
import Import
import PageTables

/// What is beside a memory file: registers and topology of the machine, and where its nonce lies.
///
/// The form is that of the images' meta files, so that `import --meta` reads it too; the key `machine` adds what a new
/// engine needs and no image's meta file has: ids, the handover page, the frames for table pages.
struct MachineDescription: Codable {
    var name: String
    var image: String
    /// The units in the form of the images' meta files.
    var units: [ImageUnit]
    var pciFunctions: [Function]
    var iommuGroups: [String]
    /// Pairs of first and last byte.
    var ram: [[String]]
    var platform: [String: String]
    var machine: Topology

    enum CodingKeys: String, CodingKey {
        case name, image, units
        case pciFunctions = "pci_functions"
        case iommuGroups = "iommu_groups"
        case ram, platform, machine
    }

    struct Function: Codable {
        var bdf: String
        var vendor: String
        var device: String
        var cls: String
        var group: String
        var driver: String
    }

    struct Topology: Codable {
        /// The page that the nonce lies in, at offset 0.
        var handoverPage: String
        var arena: [[String]]
        var units: [Unit]
        var devices: [Device]
        var reserved: [Reserved]
        enum CodingKeys: String, CodingKey {
            case handoverPage = "handover_page"
            case arena, units, devices, reserved
        }
    }

    /// A unit in the form of the images' meta files.
    struct ImageUnit: Codable {
        var iommu: String
        var registers: [String: String]
        var segment: String
        var registerBase: String
        var hostAddressWidth: String
        enum CodingKeys: String, CodingKey {
            case iommu, registers, segment
            case registerBase = "register_base"
            case hostAddressWidth = "host_address_width"
        }
    }

    struct Unit: Codable {
        var id: UInt32
        var kind: String
        var segment: UInt32
        var registerBase: String
        var hostAddressWidth: UInt8
        var registers: [String: String]
        var encryptionBit: UInt8?
        var accessedDirty: Bool
        enum CodingKeys: String, CodingKey {
            case id, kind, segment
            case registerBase = "register_base"
            case hostAddressWidth = "host_address_width"
            case registers
            case encryptionBit = "encryption_bit"
            case accessedDirty = "accessed_dirty"
        }
    }

    struct Device: Codable {
        var device: String
        var unit: UInt32
        var group: UInt32
        var function: Bool
        var vendor: UInt16
        var deviceID: UInt16
        var classCode: UInt32
        var driver: String
        var ats: Bool
        var pri: Bool
        var pasidBits: UInt8
        enum CodingKeys: String, CodingKey {
            case device, unit, group, function, vendor
            case deviceID = "device_id"
            case classCode = "class"
            case driver, ats, pri
            case pasidBits = "pasid_bits"
        }
    }

    struct Reserved: Codable {
        var group: UInt32
        var kind: String
        var iova: String
        var last: String
    }

    /// The description of `machine`, whose memory is the file `image` (its last path component).
    init(of machine: Machine, name: String, image: String) {
        self.name = name
        self.image = image
        let units = machine.units.map { unit in
            let text = unit.description
            return Unit(
                id: unit.id.rawValue, kind: unit.kind.rawValue, segment: unit.segment,
                registerBase: unit.registerBase.description,
                hostAddressWidth: UInt8(unit.hostAddressWidth),
                registers: Dictionary(text.registers.map { ($0.name, hex($0.value, digits: 1)) }) { $1 },
                encryptionBit: unit.encryptionBit, accessedDirty: unit.accessedDirty)
        }
        self.units = units.map { unit in
            ImageUnit(
                iommu: unit.kind, registers: unit.registers, segment: String(unit.segment),
                registerBase: unit.registerBase, hostAddressWidth: String(unit.hostAddressWidth))
        }
        platform = machine.units.first.map { ["haw": String($0.hostAddressWidth)] } ?? [:]
        if let bit = machine.units.lazy.compactMap(\.encryptionBit).first { platform["cbit"] = String(bit) }
        pciFunctions = machine.devices.filter(\.hasFunction).map { device in
            func digits(_ value: some BinaryInteger, _ count: Int) -> String {
                String(hex(UInt64(value), digits: count).dropFirst(2))
            }
            return Function(
                bdf: device.requester.description, vendor: digits(device.vendorID, 4),
                device: digits(device.deviceID, 4), cls: digits(device.classCode, 6), group: device.group.description,
                driver: device.driver.isEmpty ? "none" : device.driver)
        }
        let byGroup = Dictionary(grouping: machine.reservedRegions, by: \.group)
        iommuGroups = Set(machine.devices.map(\.group)).sorted().map { group in
            let regions = (byGroup[group] ?? []).map { "\($0.range.first),\($0.range.last),\($0.kind.rawValue);" }
            return "group \(group) type=unmanaged resv=\(regions.joined())"
        }
        ram = machine.ramRanges.map { [$0.first.description, $0.last.description] }
        self.machine = Topology(
            handoverPage: machine.handoverPage.description,
            arena: machine.arenaRanges.map { [$0.first.description, $0.last.description] }, units: units,
            devices: machine.devices.map {
                Device(
                    device: $0.requester.description, unit: $0.unit.rawValue, group: $0.group.rawValue,
                    function: $0.hasFunction, vendor: $0.vendorID, deviceID: $0.deviceID, classCode: $0.classCode,
                    driver: $0.driver, ats: $0.atsEnabled, pri: $0.priEnabled,
                    pasidBits: $0.pasidBits)
            },
            reserved: machine.reservedRegions.map {
                Reserved(
                    group: $0.group.rawValue, kind: $0.kind.rawValue, iova: $0.range.first.description,
                    last: $0.range.last.description)
            })
    }

    /// Takes over what has changed in the units' registers; all else that is read stays.
    mutating func takeRegisters(of machine: Machine) {
        let now = MachineDescription(of: machine, name: name, image: image)
        (units, self.machine.units) = (now.units, now.machine.units)
    }

    /// The JSON text, keys sorted.
    func json() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(self)) + [0x0a]
    }

    /// Reads the text beside a memory file.
    static func read(_ bytes: [UInt8], file: String) throws(ScenarioError) -> MachineDescription {
        do {
            return try JSONDecoder().decode(MachineDescription.self, from: Data(bytes))
        } catch let error as DecodingError {
            let problem = JSONProblem(error, in: bytes)
            throw .unreadable(file: file, place: problem.place, what: problem.sentence)
        } catch {
            throw .unreadable(file: file, place: "", what: "\(error)")
        }
    }

    /// The machine over `memory`, as described.
    func build(memory: PhysicalMemory, file: String) throws(ScenarioError) -> Machine {
        func number(_ text: String, _ place: String) throws(ScenarioError) -> UInt64 {
            guard let value = parseInteger(text) else {
                throw .unreadable(file: file, place: place, what: "\"\(text)\" is no number")
            }
            return value
        }
        func range(_ pair: [String], _ place: String) throws(ScenarioError) -> PhysicalRange {
            guard pair.count == 2,
                let range = PhysicalRange(
                    first: .init(try number(pair[0], place)), last: .init(try number(pair[1], place)))
            else { throw .unreadable(file: file, place: place, what: "a pair of first and last byte is expected") }
            return range
        }
        var units: [UnitDescription] = []
        for unit in machine.units {
            var registers: [UnitDescription.Register] = []
            for (name, text) in unit.registers.sorted(by: { $0.key < $1.key }) {
                registers.append(.init(name, try number(text, "machine.units.registers.\(name)")))
            }
            guard let kind = IOMMUKind(rawValue: unit.kind) else {
                throw .unreadable(file: file, place: "machine.units.kind", what: "\"\(unit.kind)\" is no kind of unit")
            }
            units.append(
                UnitDescription(
                    id: UnitID(unit.id), kind: kind, segment: unit.segment,
                    registerBase: .init(try number(unit.registerBase, "machine.units.register_base")),
                    hostAddressWidth: unit.hostAddressWidth, registers: registers, encryptionBit: unit.encryptionBit,
                    accessedDirty: unit.accessedDirty))
        }
        var devices: [MachineDevice] = []
        for device in machine.devices {
            guard let requester = RequesterID(device.device) else {
                throw .unreadable(file: file, place: "machine.devices", what: "\"\(device.device)\" is no device")
            }
            devices.append(
                MachineDevice(
                    requester: requester, unit: UnitID(device.unit), group: GroupID(device.group),
                    hasFunction: device.function, vendorID: device.vendor, deviceID: device.deviceID,
                    classCode: device.classCode, driver: device.driver, atsEnabled: device.ats,
                    priEnabled: device.pri, pasidBits: device.pasidBits))
        }
        var reserved: [ReservedRegion] = []
        for region in machine.reserved {
            guard let kind = ReservedRegionKind(rawValue: region.kind),
                let range = IOVARange(
                    first: .init(try number(region.iova, "machine.reserved")),
                    last: .init(try number(region.last, "machine.reserved")))
            else { throw .unreadable(file: file, place: "machine.reserved", what: "no region: \(region)") }
            reserved.append(ReservedRegion(group: GroupID(region.group), kind: kind, range: range))
        }
        var ramRanges: [PhysicalRange] = []
        for pair in ram { ramRanges.append(try range(pair, "ram")) }
        var arena: [PhysicalRange] = []
        for pair in machine.arena { arena.append(try range(pair, "machine.arena")) }
        return try Machine.described(
            memory: memory, ramRanges: ramRanges, arenaRanges: arena,
            handoverPage: .init(try number(machine.handoverPage, "machine.handover_page")), units: units,
            devices: devices, reservedRegions: reserved)
    }
}
