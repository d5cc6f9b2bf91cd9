import IOMMUModel
import PageTables
import Snapshot

/// The trees of page tables of a recorded machine, each once.
enum TableTargets {
    private struct Key: Hashable {
        var unit: UnitID
        var root: PhysicalAddress
        var topLevel: Int
    }

    /// The trees that present context entries point to, then those of recorded domains that none points to.
    ///
    /// A domain of an engine's generation that was not preserved has no recorded tables and is left out.
    static func all(_ index: SnapshotIndex, _ machine: RecordedMachine, _ log: inout FindingLog) -> [TableTarget] {
        var targets: [TableTarget] = []
        var seen: Set<Key> = []
        let domains = Dictionary(grouping: index.snapshot.attachments.filter { $0.pasid == nil }, by: \.requester)
        for unit in machine.units where unit.translates {
            for context in unit.lookup?.contexts ?? [] {
                guard case .tables(let configuration, let root) = context.translation else { continue }
                let key = Key(unit: unit.record.id, root: root, topLevel: configuration.topLevel)
                guard seen.insert(key).inserted else { continue }
                let device = unit.requester(context.rid)
                let attached = domains[device]?.first?.domain
                let matching = attached.flatMap { index.geometry(of: $0, on: unit.record.id) }
                let domain =
                    matching?.tables?.root == root
                    ? attached
                    : index.snapshot.domainUnits.first { $0.unit == unit.record.id && $0.tables?.root == root }?.domain
                targets.append(
                    TableTarget(
                        domain: domain, unit: unit.record.id, configuration: configuration, root: root,
                        pointerAddress: context.entryAddress, device: device, pasid: nil))
            }
        }
        for record in index.snapshot.domainUnits {
            guard let tables = record.tables, let unit = machine.units.first(where: { $0.record.id == record.unit }),
                unit.hardware != nil
            else { continue }
            if index.snapshot.origin == .engine, index.domains[record.domain]?.preserved != true { continue }
            // The root of a nested domain is a guest address, and its tables are the guest's: none are recorded.
            if index.domains[record.domain]?.kind == .nested { continue }
            let root = tables.root.pageBase
            guard seen.insert(Key(unit: record.unit, root: root, topLevel: Int(tables.topLevel))).inserted else {
                continue
            }
            let user = index.user(of: record.domain)
            guard let configuration = unit.configuration(topLevel: tables.topLevel) else {
                log.add(
                    Finding(
                        .vtdContextAddressWidth, device: user?.requester, pasid: user?.pasid,
                        record: .init(table: "domain_unit", key: "domain=\(record.domain) unit=\(record.unit)"),
                        "tables with top level \(tables.topLevel): the unit has no such width"))
                continue
            }
            targets.append(
                TableTarget(
                    domain: record.domain, unit: record.unit, configuration: configuration, root: root,
                    pointerAddress: user?.entryAddress, device: user?.requester, pasid: user?.pasid))
        }
        return targets
    }
}
