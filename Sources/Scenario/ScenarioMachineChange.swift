import Engine
import IOMMUModel

/// One thing that is not the old machine's when the next kernel starts: hardware was changed, or firmware told it otherwise.
struct ScenarioMachineChange: Sendable, Decodable {
    enum Change: Sendable {
        /// The device is not there.
        case remove(RequesterID)
        /// The bus was renumbered, or the device stands in another slot.
        case move(RequesterID, to: RequesterID)
        /// Another function stands there.
        case identity(RequesterID, vendorID: UInt16, deviceID: UInt16)
        /// Its PASIDs are of another width.
        case pasidBits(RequesterID, UInt8)
        /// It is in another group.
        case group(RequesterID, GroupID)
        /// It was plugged in meanwhile.
        case add(RequesterID, UnitID, GroupID)
        /// A register of a unit says something else.
        case register(UnitID, name: String, UInt64)
        /// A unit's registers are elsewhere.
        case unitBase(UnitID, PhysicalAddress)
    }

    var change: Change

    /// The device of the old machine that it is about.
    var device: RequesterID? {
        switch change {
        case .remove(let device), .move(let device, _), .identity(let device, _, _), .pasidBits(let device, _),
            .group(let device, _):
            device
        case .add, .register, .unitBase: nil
        }
    }

    /// The device that the old machine has not.
    var newDevice: RequesterID? {
        switch change {
        case .move(_, let device), .add(let device, _, _): device
        default: nil
        }
    }

    /// The unit that it is about.
    var unit: UnitID? {
        switch change {
        case .add(_, let unit, _), .register(let unit, _, _), .unitBase(let unit, _): unit
        default: nil
        }
    }

    enum CodingKeys: String, CodingKey, CaseIterable {
        case change, device, to, vendor
        case deviceID = "device_id"
        case bits, group, unit, name, value, base
    }

    /// Which keys each change takes.
    static let keys: [String: Set<CodingKeys>] = [
        "remove": [.device], "move": [.device, .to], "identity": [.device, .vendor, .deviceID],
        "pasid-bits": [.device, .bits], "group": [.device, .group], "add": [.device, .unit, .group],
        "register": [.unit, .name, .value], "unit-base": [.unit, .base],
    ]

    init(from decoder: any Decoder) throws {
        let box = try decoder.strictContainer(CodingKeys.self)
        func device(_ key: CodingKeys = .device) throws -> RequesterID {
            try box.decode(RequesterText.self, forKey: key).value
        }
        func number(_ key: CodingKeys) throws -> UInt64 { try box.decode(NumberText.self, forKey: key).value }
        func id(_ key: CodingKeys) throws -> UInt32 { try box.decode(UInt32.self, forKey: key) }
        let name = try box.decode(String.self, forKey: .change)
        guard let mine = Self.keys[name]?.union([.change]) else {
            throw DecodingError.dataCorruptedError(
                forKey: .change, in: box,
                debugDescription:
                    "unknown change \"\(name)\"; known are \(Self.keys.keys.sorted().joined(separator: ", "))")
        }
        if let extra = CodingKeys.allCases.first(where: { box.contains($0) && !mine.contains($0) }) {
            throw DecodingError.dataCorruptedError(
                forKey: extra, in: box, debugDescription: "\"\(name)\" takes no \"\(extra.stringValue)\"")
        }
        switch name {
        case "remove": change = .remove(try device())
        case "move": change = .move(try device(), to: try device(.to))
        case "identity":
            change = .identity(
                try device(), vendorID: UInt16(truncatingIfNeeded: try number(.vendor)),
                deviceID: UInt16(truncatingIfNeeded: try number(.deviceID)))
        case "pasid-bits": change = .pasidBits(try device(), UInt8(truncatingIfNeeded: try number(.bits)))
        case "group": change = .group(try device(), GroupID(try id(.group)))
        case "add": change = .add(try device(), UnitID(try id(.unit)), GroupID(try id(.group)))
        case "register":
            change = .register(
                UnitID(try id(.unit)), name: try box.decode(String.self, forKey: .name), try number(.value))
        default: change = .unitBase(UnitID(try id(.unit)), PhysicalAddress(try number(.base)))
        }
    }
}

extension Machine {
    /// The machine over the same memory that the next kernel finds. What its units had cached is gone.
    ///
    /// - Throws: ``ScenarioError/machine(what:)``.
    func changed(_ changes: [ScenarioMachineChange]) throws(ScenarioError) -> Machine {
        var devices = devices
        var units = units.map(\.description)
        func edit(_ requester: RequesterID, _ body: (inout MachineDevice) -> Void) {
            for index in devices.indices where devices[index].requester == requester { body(&devices[index]) }
        }
        for change in changes {
            switch change.change {
            case .remove(let requester): devices.removeAll { $0.requester == requester }
            case .move(let requester, let other): edit(requester) { $0.requester = other }
            case .identity(let requester, let vendor, let id):
                edit(requester) { ($0.vendorID, $0.deviceID) = (vendor, id) }
            case .pasidBits(let requester, let bits): edit(requester) { $0.pasidBits = bits }
            case .group(let requester, let group): edit(requester) { $0.group = group }
            case .add(let requester, let unit, let group):
                devices.append(MachineDevice(requester: requester, unit: unit, group: group))
            case .register(let id, let name, let value):
                for index in units.indices where units[index].id == id {
                    units[index].registers.removeAll { $0.name == name }
                    units[index].registers.append(.init(name, value))
                }
            case .unitBase(let id, let base):
                for index in units.indices where units[index].id == id { units[index].registerBase = base }
            }
        }
        let groups = Set(devices.map(\.group))
        return try Machine.described(
            memory: memory, ramRanges: ramRanges, arenaRanges: arenaRanges, handoverPage: handoverPage, units: units,
            devices: devices, reservedRegions: reservedRegions.filter { groups.contains($0.group) })
    }
}
