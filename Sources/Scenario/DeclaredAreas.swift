import IOMMUModel
import Import
import Snapshot

/// Areas that the user declares for an imported machine: an independent witness for the tables.
struct DeclaredAreas {
    private let rows: [RequesterID: [AreaCSV.Row]]
    private let count: Int

    init(_ rows: [AreaCSV.Row]) {
        self.rows = Dictionary(grouping: rows.filter { $0.pasid == nil }, by: \.requester)
        count = rows.count
    }

    /// Replaces the derived areas of every domain that rows speak of.
    ///
    /// - Returns: what to say of it.
    /// - Throws: ``ScenarioError/inconsistent(place:what:)`` when devices that share a domain do not agree.
    func apply(to snapshot: inout Snapshot) throws(ScenarioError) -> [String] {
        var used = 0
        for object in snapshot.hwpts {
            let devices = snapshot.attachments.filter { $0.domain == object.domain }.map(\.requester)
            let told = devices.compactMap { device in rows[device].map { (device, Self.key($0)) } }
            guard let first = told.first else { continue }
            if let other = told.first(where: { $0.1 != first.1 }) {
                throw .inconsistent(
                    place: "areas of \(first.0) and \(other.0)", what: "they share a domain and must agree")
            }
            guard let space = snapshot.ioases.firstIndex(where: { $0.id == object.ioas }) else { continue }
            snapshot.ioases[space].areaOrigin = .declared
            snapshot.areas.removeAll { $0.ioas == object.ioas }
            for row in rows[first.0] ?? [] {
                guard let backing = row.backing ?? snapshot.backings.first(where: { $0.kind == .physical })?.id else {
                    continue
                }
                snapshot.areas.append(
                    AreaRecord(
                        ioas: object.ioas, range: row.range, backing: backing, offset: row.offset,
                        protection: row.protection))
            }
            used += told.reduce(0) { $0 + $1.1.count }
        }
        snapshot.normalize()
        return ["\(used) of \(count) declared areas belong to domains of this machine"]
    }

    private static func key(_ rows: [AreaCSV.Row]) -> [AreaRecord] {
        rows.map {
            AreaRecord(
                ioas: IOASID(0), range: $0.range, backing: $0.backing ?? BackingID(0), offset: $0.offset,
                protection: $0.protection)
        }.sorted { $0.range < $1.range }
    }
}
