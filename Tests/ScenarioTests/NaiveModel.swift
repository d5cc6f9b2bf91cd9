import Engine
import IOMMUModel

/// What a machine translates, made from an engine's events alone: lists of areas, and for each device and PASID which list
/// it is on. It knows nothing of tables, entries, tags or caches.
struct NaiveModel {
    /// What requests are on.
    enum Place: Hashable {
        case blocked, identity
        case hwpt(HWPTID)
        /// A former kernel's address space, as it was when it went over.
        case inherited(Int)
    }

    struct Area {
        var range: IOVARange
        var address: UInt64
        var protection: Protection
    }

    private let machine: Machine
    private var bases: [BackingID: UInt64] = [:]
    private(set) var areas: [IOASID: [Area]] = [:]
    /// The address space of each HWPT; of a nested one none, whose guest has no tables.
    private var spaces: [HWPTID: IOASID] = [:]
    private(set) var places: [AttachmentKey: Place] = [:]
    /// Devices attached on their own behalf, by group.
    private var attached: [GroupID: Set<RequesterID>] = [:]
    private var owned: Set<GroupID> = []
    /// Bus master off for good.
    private var silent: Set<RequesterID> = []
    private var quarantined: Set<RequesterID> = []
    private var inherited: [[Area]?] = []
    /// Devices that came over and are not settled.
    private var waiting: Set<RequesterID> = []

    init(_ machine: Machine) {
        self.machine = machine
        for device in machine.devices { places[AttachmentKey(device.requester)] = standard(device.group) }
    }

    private func members(_ group: GroupID) -> [RequesterID] {
        machine.devices.filter { $0.group == group }.map(\.requester)
    }

    private func standard(_ group: GroupID) -> Place {
        machine.reservedRegions(of: group).contains { $0.kind == .direct } ? .identity : .blocked
    }

    // MARK: Events

    mutating func apply(_ event: Event) {
        guard event.kind == .operation, event.errno == nil else { return }
        func number(_ name: String) -> UInt64 { event[name].flatMap { parseInteger($0) } ?? 0 }
        func hwpt() -> HWPTID { HWPTID(UInt32(number("hwpt"))) }
        let device = event["device"].flatMap { RequesterID($0) }
        let pasid = event["pasid"].flatMap { parseInteger($0) }.flatMap { PASID(UInt32($0)) }
        switch event.name {
        case "add-backing": bases[BackingID(UInt32(number("backing")))] = number("base")
        case "create-ioas": areas[IOASID(UInt32(number("ioas")))] = []
        case "create-hwpt": spaces[hwpt()] = IOASID(UInt32(number("ioas")))
        case "map":
            let range = IOVARange(first: IOVA(number("iova")), bytes: number("bytes"))!
            areas[IOASID(UInt32(number("ioas")))]!.append(
                Area(
                    range: range, address: bases[BackingID(UInt32(number("backing")))]! + number("offset"),
                    protection: Protection(event["protection"] ?? "")!))
        case "unmap":
            let range = IOVARange(first: IOVA(number("iova")), bytes: number("bytes"))!
            areas[IOASID(UInt32(number("ioas")))]!.removeAll { range.contains($0.range.first) }
        case "replace-together":
            var pasid: PASID?
            for argument in event.arguments {
                if argument.name == "pasid" { pasid = parseInteger(argument.value).flatMap { PASID(UInt32($0)) } }
                if argument.name == "hwpt" {
                    places[AttachmentKey(device!, pasid)] = .hwpt(HWPTID(UInt32(argument.value)!))
                }
            }
        default: device.map { apply(event.name, $0, pasid, hwpt()) } ?? groups(event.name, number("group"))
        }
    }

    private mutating func groups(_ name: String, _ number: UInt64) {
        let group = GroupID(UInt32(number))
        guard ["claim-owner", "release-owner"].contains(name) else { return }
        // The same token may claim again: nothing happens.
        guard name == "release-owner" || owned.insert(group).inserted else { return }
        if name == "release-owner" { owned.remove(group) }
        for member in members(group) {
            places[AttachmentKey(member)] = name == "claim-owner" ? .blocked : standard(group)
        }
    }

    private mutating func apply(_ name: String, _ device: RequesterID, _ pasid: PASID?, _ hwpt: HWPTID) {
        guard let group = machine.device(device)?.group else { return }
        let key = AttachmentKey(device, pasid)
        switch name {
        case "attach", "replace":
            guard pasid == nil else { return places[key] = .hwpt(hwpt) }
            for member in members(group) where !quarantined.contains(member) {
                places[AttachmentKey(member)] = .hwpt(hwpt)
            }
            waiting.subtract(members(group))
            attached[group, default: []].insert(device)
        case "attach-identity": for member in members(group) { places[AttachmentKey(member)] = .identity }
        case "detach": detach(key, group)
        case "close": if !quarantined.contains(device) { leave(device, group) }
        case "unbind-driver":
            guard owned.contains(group), !quarantined.contains(device), waiting.isDisjoint(with: members(group)) else {
                return
            }
            leave(device, group)
            let isEmpty = attached[group, default: []].isEmpty
            guard isEmpty, !places.keys.contains(where: { members(group).contains($0.requester) && $0.pasid != nil })
            else { return }
            owned.remove(group)
            for member in members(group) { places[AttachmentKey(member)] = standard(group) }
        case "quarantine", "discard":
            silent.insert(device)
            quarantined.insert(device)
            waiting.remove(device)
            for key in places.keys where key.requester == device { places[key] = .blocked }
        case "release":
            // Its DMA was switched off before, but for a device that only passed through.
            if places[AttachmentKey(device)] != .identity { silent.insert(device) }
            for key in places.keys where key.requester == device && key.pasid != nil { places[key] = nil }
            places[AttachmentKey(device)] = standard(group)
            attached[group] = []
            waiting.remove(device)
            quarantined.remove(device)
            // A former kernel's domain stays until its own device gives it up.
            for member in members(group) where !quarantined.contains(member) && !waiting.contains(member) {
                places[AttachmentKey(member)] = standard(group)
            }
            if waiting.isDisjoint(with: members(group)) { owned.remove(group) }
        case "claim": owned.insert(group)
        case "keep-identity": waiting.remove(device)
        default: return
        }
    }

    private mutating func detach(_ key: AttachmentKey, _ group: GroupID) {
        guard key.pasid == nil else { return places[key] = nil }
        attached[group, default: []].remove(key.requester)
        guard attached[group]!.isEmpty else { return }
        for member in members(group) where !quarantined.contains(member) { places[AttachmentKey(member)] = .blocked }
    }

    private mutating func leave(_ device: RequesterID, _ group: GroupID) {
        for key in places.keys where key.requester == device && key.pasid != nil { places[key] = nil }
        if attached[group, default: []].contains(device) { detach(AttachmentKey(device), group) }
    }

    /// The jump: who is `carried` keeps what there is, everybody else gets the default.
    mutating func jump(carrying carried: Set<RequesterID>) {
        // What must not be blocked stays where it is.
        let kept = carried.union(
            machine.devices.filter { standard($0.group) == .identity }.map(\.requester))
        var copies: [Place: Int] = [:]
        var next: [AttachmentKey: Place] = [:]
        for (key, place) in places where kept.contains(key.requester) {
            guard case .hwpt = place else {
                next[key] = place
                continue
            }
            if copies[place] == nil {
                copies[place] = inherited.count
                inherited.append(list(of: place))
            }
            next[key] = .inherited(copies[place]!)
        }
        for device in machine.devices where !kept.contains(device.requester) {
            next[AttachmentKey(device.requester)] = standard(device.group)
        }
        (bases, areas, spaces, attached, owned, places) = ([:], [:], [:], [:], [], next)
        (waiting, quarantined) = (carried, [])
    }

    // MARK: Questions

    /// The areas behind a place; `nil`: a guest's tables, of which there are none.
    private func list(of place: Place) -> [Area]? {
        switch place {
        case .blocked, .identity: []
        case .hwpt(let id): spaces[id].map { areas[$0] ?? [] }
        case .inherited(let number): inherited[number]
        }
    }

    /// The areas that requests of `key` reach.
    func areas(of key: AttachmentKey) -> [Area] { places[key].flatMap { list(of: $0) } ?? [] }

    /// Where one access must end; `nil`: refused, or not put on the bus.
    func translate(_ key: AttachmentKey, _ iova: IOVA, _ access: Access) -> UInt64? {
        guard !silent.contains(key.requester), let place = places[key] else { return nil }
        if place == .identity { return iova.rawValue }
        let area = areas(of: key).first { $0.range.contains(iova) }
        guard let area, area.protection.contains(access.needs) else { return nil }
        return area.address + iova.distance(from: area.range.first)
    }
}
