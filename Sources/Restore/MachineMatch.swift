import Engine
import Handover
import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// Whether the machine is the one that was recorded, as far as it decides about whole units and groups.
enum MachineMatch {
    /// Why the machine has no unit as `unit` was recorded, by register base and registers; `nil` when it has.
    static func difference(of unit: UnitRecord, _ machine: Machine) -> (refusal: Refusal, what: String)? {
        guard let hardware = machine.units.first(where: { $0.registerBase == unit.registerBase }),
            hardware.id == unit.id, hardware.kind == unit.kind
        else { return (Refusal(.ENODEV, .unitMissing), "no unit \(unit.id) at \(unit.registerBase)") }
        let now = hardware.description
        // GSTS and CR0 tell what is going on, not how the unit is set up: that it translates is asked elsewhere.
        let names = hardware.hardware.namedRegisters.map(\.name).filter { !["gsts", "cr0"].contains($0) }
        for name in names.sorted() where unit[register: name] != now[register: name] {
            func text(_ value: UInt64?) -> String { value.map { hex($0) } ?? "unknown" }
            return (
                Refusal(.EINVAL, .unitRegisterDiffers),
                "\(name) of unit \(unit.id) is \(text(now[register: name])), "
                    + "recorded is \(text(unit[register: name]))"
            )
        }
        guard unit.hostAddressWidth == now.hostAddressWidth else {
            return (
                Refusal(.EINVAL, .unitRegisterDiffers),
                "unit \(unit.id) has a host address width of \(now.hostAddressWidth) bits, "
                    + "recorded are \(unit.hostAddressWidth)"
            )
        }
        return nil
    }

    /// The pages of all recorded trees as they are in memory, but for those that are recorded themselves; and the domains
    /// whose trees could not be read to their end, whatever else they hold. O(tables).
    static func tableFrames(
        _ recorded: Snapshot, _ machine: Machine
    ) -> (frames: [PhysicalRange], unreadable: Set<DomainID>) {
        let paging = Set(recorded.domains.lazy.filter { $0.kind == .paging }.map(\.id))
        var known = Set(recorded.tablePages.flatMap { $0.pages.entries.map(\.address) })
        var frames: [PhysicalRange] = []
        var unreadable: Set<DomainID> = []
        var isComplete: [TranslationStage: Bool] = [:]
        for place in recorded.domainUnits where paging.contains(place.domain) {
            guard let tables = place.tables else { continue }
            guard
                let shape = machine.unit(place.unit)?.hardware.configuration(
                    format: tables.format, topLevel: Int(tables.topLevel), addressBits: Int(tables.addressBits),
                    signExtended: tables.signExtended)
            else {
                unreadable.insert(place.domain)
                continue
            }
            let stage = TranslationStage(configuration: shape, root: tables.root)
            // Of several units the same tree.
            if let known = isComplete[stage] {
                if !known { unreadable.insert(place.domain) }
                continue
            }
            let tree = Walker.scan(stage, memory: machine.memory.view)
            isComplete[stage] = tree.isComplete
            if !tree.isComplete { unreadable.insert(place.domain) }
            for node in tree.nodes {
                guard known.insert(node.page).inserted else { continue }
                if let frame = PhysicalRange(first: node.page, bytes: 4096) { frames.append(frame) }
            }
        }
        return (frames, unreadable)
    }

    /// For every device of the machine whose group holds devices that the record has apart: one of these.
    static func newcomers(_ recorded: Snapshot, _ machine: Machine) -> [RequesterID: RequesterID] {
        let groups = Dictionary(recorded.devices.map { ($0.requester, $0.group) }) { first, _ in first }
        var result: [RequesterID: RequesterID] = [:]
        for members in Dictionary(grouping: machine.devices.map { ($0.group, $0.requester) }, by: \.0).values {
            guard let first = members.first?.1, let other = members.first(where: { groups[$0.1] != groups[first] })?.1
            else { continue }
            for (_, member) in members { result[member] = groups[member] == groups[first] ? other : first }
        }
        return result
    }
}
