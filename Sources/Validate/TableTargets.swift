import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// The trees of page tables of a recorded machine, each once.
struct TableTargets {
    private struct Key: Hashable {
        var unit: UnitID
        var shape: TableTarget.Shape
    }
    private struct Place: Hashable {
        var device: RequesterID
        var pasid: PASID?
    }
    private struct DomainPlace: Hashable {
        var unit: UnitID
        var domain: DomainID
    }
    private struct Root: Hashable {
        var unit: UnitID
        var root: PhysicalAddress
    }

    private let index: SnapshotIndex
    private let machine: RecordedMachine
    private let attached: [Place: DomainID]
    /// The first domain with that root on that unit; none of nested ones, whose roots are a guest's addresses.
    private let owners: [Root: DomainID]
    private var targets: [TableTarget] = []
    private var seen: Set<Key> = []
    /// The domains whose recorded tables an entry of that unit leads to, with whatever number of levels.
    private var reached: Set<DomainPlace> = []

    private init(_ index: SnapshotIndex, _ machine: RecordedMachine) {
        self.index = index
        self.machine = machine
        attached = Dictionary(
            index.snapshot.attachments.map { (Place(device: $0.requester, pasid: $0.pasid), $0.domain) },
            uniquingKeysWith: { first, _ in first })
        let roots = index.snapshot.domainUnits.compactMap { record -> (Root, DomainID)? in
            guard let root = record.tables?.root, index.domains[record.domain]?.kind != .nested else { return nil }
            return (Root(unit: record.unit, root: root), record.domain)
        }
        owners = Dictionary(roots, uniquingKeysWith: { first, _ in first })
    }

    /// The trees that lookup entries point to, then those of recorded domains that none points to. Of two stages the
    /// host's: the guest's tables are its own, and none are recorded.
    ///
    /// A domain of an engine's generation that was not preserved has no recorded tables and is left out.
    static func all(_ index: SnapshotIndex, _ machine: RecordedMachine, _ log: inout FindingLog) -> [TableTarget] {
        var found = TableTargets(index, machine)
        for unit in machine.units where unit.translates { found.addEntries(of: unit) }
        found.addRecords(&log)
        return found.targets
    }

    private mutating func addEntries(of unit: RecordedUnit) {
        guard let hardware = unit.hardware else { return }
        for entry in unit.listing?.entries ?? [] {
            guard let context = entry.context, let stage = context.path.host else { continue }
            let device = unit.requester(entry.rid)
            let place = Place(device: device, pasid: entry.pasid)
            let words = EntryWords(context, hardware)
            let format = stage.configuration.format
            let domain = domain(place, context.path, stage.root, unit.record.id)
            if let domain { reached.insert(DomainPlace(unit: unit.record.id, domain: domain)) }
            add(
                TableTarget(
                    domain: domain, unit: unit.record.id,
                    configuration: stage.configuration, root: stage.root, pointerAddress: words.hostRoot,
                    levels: (words.levels(format), EntryWords.levelsRule(format, hardware)), device: device,
                    pasid: entry.pasid))
        }
    }

    private mutating func add(_ target: TableTarget) {
        if seen.insert(Key(unit: target.unit, shape: target.shape)).inserted { targets.append(target) }
    }

    /// The domain that owns the tables at `root`: the attached one, or its parent, when the record says so.
    private func domain(
        _ place: Place, _ path: TranslationPath, _ root: PhysicalAddress, _ unit: UnitID
    ) -> DomainID? {
        var domain = attached[place]
        if case .nested = path { domain = domain.flatMap { index.domains[$0]?.parent } }
        if let domain, index.geometry(of: domain, on: unit)?.tables?.root == root { return domain }
        return owners[Root(unit: unit, root: root)]
    }

    private mutating func addRecords(_ log: inout FindingLog) {
        let units = Dictionary(machine.units.map { ($0.record.id, $0) }, uniquingKeysWith: { first, _ in first })
        for record in index.snapshot.domainUnits {
            guard let tables = record.tables, let unit = units[record.unit], let hardware = unit.hardware else {
                continue
            }
            if index.snapshot.origin == .engine, index.domains[record.domain]?.preserved != true { continue }
            // The root of a nested domain is a guest address, and its tables are the guest's: none are recorded.
            if index.domains[record.domain]?.kind == .nested { continue }
            let user = index.user(of: record.domain)
            let shape = TableTarget.Shape(
                root: tables.root.pageBase, format: tables.format, topLevel: Int(tables.topLevel))
            if seen.contains(Key(unit: record.unit, shape: shape)) {
                shared(record, tables.root, user, &log)
                continue
            }
            // The entry decides; that it differs from the record is told there.
            if reached.contains(DomainPlace(unit: record.unit, domain: record.domain)) { continue }
            guard let configuration = unit.configuration(tables) else {
                log.add(
                    Finding(
                        EntryWords.levelsRule(tables.format, hardware), device: user?.requester, pasid: user?.pasid,
                        record: .init(table: "domain_unit", key: "domain=\(record.domain) unit=\(record.unit)"),
                        "\(tables.format.rawValue) tables with top level \(tables.topLevel): the unit has none such"))
                continue
            }
            add(
                TableTarget(
                    domain: record.domain, unit: record.unit, configuration: configuration, root: shape.root,
                    pointerAddress: user?.entryAddress, device: user?.requester, pasid: user?.pasid))
        }
    }

    /// Tables are one domain's.
    private func shared(
        _ record: DomainUnitRecord, _ root: PhysicalAddress, _ user: AttachmentRecord?, _ log: inout FindingLog
    ) {
        guard let owner = owners[Root(unit: record.unit, root: root)], owner != record.domain else { return }
        log.add(
            Finding(
                .tableReused, device: user?.requester, pasid: user?.pasid,
                record: .init(table: "domain_unit", key: "domain=\(record.domain) unit=\(record.unit)"),
                "its tables at \(root) are those of domain \(owner)"))
    }
}
