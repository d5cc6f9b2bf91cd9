import IOMMUModel
import Snapshot

/// A snapshot with its records reachable by id.
struct SnapshotIndex {
    let snapshot: Snapshot
    let units: [UnitID: UnitRecord]
    let groups: Set<GroupID>
    let devices: [RequesterID: DeviceRecord]
    let backings: [BackingID: BackingRecord]
    let domains: [DomainID: DomainRecord]
    let ioases: [IOASID: IOASRecord]
    /// The page tables of each address space, in the order of their ids.
    let hwpts: [IOASID: [HWPTRecord]]
    /// The address space of each domain's first page tables.
    let addressSpaces: [DomainID: IOASID]
    /// The attachments of each domain, in the order of devices.
    let attachments: [DomainID: [AttachmentRecord]]
    /// The nested domains of each parent.
    let children: [DomainID: [DomainID]]
    let domainUnits: [DomainID: [DomainUnitRecord]]
    /// Where each IOAS's areas stand in `snapshot.areas`.
    let areaRanges: [IOASID: Range<Int>]

    /// `snapshot` must be normalised.
    init(_ snapshot: Snapshot) {
        self.snapshot = snapshot
        units = Dictionary(snapshot.units.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        groups = Set(snapshot.groups.map(\.id))
        devices = Dictionary(snapshot.devices.map { ($0.requester, $0) }, uniquingKeysWith: { first, _ in first })
        backings = Dictionary(snapshot.backings.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        domains = Dictionary(snapshot.domains.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        ioases = Dictionary(snapshot.ioases.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        hwpts = Dictionary(grouping: snapshot.hwpts, by: \.ioas)
        addressSpaces = Dictionary(
            snapshot.hwpts.map { ($0.domain, $0.ioas) }, uniquingKeysWith: { first, _ in first })
        attachments = Dictionary(grouping: snapshot.attachments, by: \.domain)
        children = snapshot.domains.reduce(into: [:]) { result, domain in
            if let parent = domain.parent { result[parent, default: []].append(domain.id) }
        }
        domainUnits = Dictionary(grouping: snapshot.domainUnits, by: \.domain)
        var ranges: [IOASID: Range<Int>] = [:]
        var start = 0
        while start < snapshot.areas.count {
            let ioas = snapshot.areas[start].ioas
            var end = start + 1
            while end < snapshot.areas.count, snapshot.areas[end].ioas == ioas { end += 1 }
            ranges[ioas] = start..<end
            start = end
        }
        areaRanges = ranges
    }

    /// The lowest device and PASID that uses `domain`: under its name findings about shared tables are listed. Of a
    /// parent that nobody is attached to directly: the lowest that uses one of its children.
    func user(of domain: DomainID) -> AttachmentRecord? {
        if let direct = attachments[domain]?.first { return direct }
        let nested = (children[domain] ?? []).compactMap { attachments[$0]?.first }
        return nested.min {
            $0.requester != $1.requester ? $0.requester < $1.requester : PASID?.precedes($0.pasid, $1.pasid)
        }
    }

    /// The areas of `ioas`, sorted by range.
    func areas(of ioas: IOASID) -> ArraySlice<AreaRecord> { snapshot.areas[areaRanges[ioas] ?? 0..<0] }

    /// The geometry of `domain` on `unit`, or `nil`.
    func geometry(of domain: DomainID, on unit: UnitID) -> DomainUnitRecord? {
        domainUnits[domain]?.first { $0.unit == unit }
    }

    /// True when `domain` has page tables on no unit.
    func hasNoTables(_ domain: DomainID) -> Bool { !(domainUnits[domain] ?? []).contains { $0.tables != nil } }

    /// The groups whose devices use `domain`, through a nested one too.
    func groups(using domain: DomainID) -> Set<GroupID> {
        Set(users(of: domain).compactMap { devices[$0.requester]?.group })
    }

    /// The attachments to `domain` and to the nested domains over it.
    func users(of domain: DomainID) -> [AttachmentRecord] {
        ([domain] + (children[domain] ?? [])).flatMap { attachments[$0] ?? [] }
    }

    /// The reserved regions of the groups whose devices use `domain`, each once, sorted by range.
    func reservedRegions(of domain: DomainID) -> [ReservedRegionRecord] {
        let users = groups(using: domain)
        var seen: Set<ReservedRegionRecord> = []
        return snapshot.reservedRegions.filter { region in
            var key = region
            key.group = GroupID(0)
            return users.contains(region.group) && seen.insert(key).inserted
        }.sorted { ($0.range, $0.kind.rawValue) < ($1.range, $1.kind.rawValue) }
    }
}
