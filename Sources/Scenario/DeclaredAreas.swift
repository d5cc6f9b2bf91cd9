import Engine
import IOMMUModel
import Import
import Snapshot

/// Areas that the user declares for an imported machine: an independent witness for the tables.
struct DeclaredAreas {
    private let rows: [AttachmentKey: [AreaCSV.Row]]
    private let count: Int

    init(_ rows: [AreaCSV.Row]) {
        self.rows = Dictionary(grouping: rows) { AttachmentKey($0.requester, $0.pasid) }
        count = rows.count
    }

    /// What is said of the rows once it is known which devices are carried.
    func note(carried: Set<RequesterID>) -> String {
        let used = rows.reduce(0) { carried.contains($1.key.requester) ? $0 + $1.value.count : $0 }
        return "declared areas: \(used) of preserved devices, \(count - used) of others ignored"
    }

    /// Replaces the derived areas of every domain that rows speak of; where no row does, a domain that maps nothing agrees
    /// with them, any other keeps the areas that were read off its tables.
    ///
    /// - Throws: ``ScenarioError/inconsistent(place:what:)`` when devices that share a domain do not agree, areas overlap,
    ///   or a backing is not one of the machine's.
    func apply(to snapshot: inout Snapshot) throws(ScenarioError) {
        for object in snapshot.hwpts {
            // A guest's requests say nothing of the host's address space.
            guard snapshot.domains.contains(where: { $0.id == object.domain && $0.kind == .paging }) else { continue }
            let devices = snapshot.attachments.filter { $0.domain == object.domain }.map {
                AttachmentKey($0.requester, $0.pasid)
            }
            let told = devices.compactMap { device in rows[device].map { (device, Self.key($0)) } }
            if told.isEmpty, snapshot.areas.contains(where: { $0.ioas == object.ioas }) { continue }
            if let first = told.first, let other = told.first(where: { $0.1 != first.1 }) {
                throw .inconsistent(
                    place: "areas of \(first.0) and \(other.0)", what: "they share a domain and must agree")
            }
            let sorted = (told.first.flatMap { rows[$0.0] } ?? []).sorted { $0.range < $1.range }
            if let (a, b) = zip(sorted, sorted.dropFirst()).first(where: { $0.range.overlaps($1.range) }) {
                throw .inconsistent(place: "areas of \(a.requester)", what: "\(a.range) and \(b.range) overlap")
            }
            guard let space = snapshot.ioases.firstIndex(where: { $0.id == object.ioas }) else { continue }
            snapshot.ioases[space].areaOrigin = .declared
            snapshot.areas.removeAll { $0.ioas == object.ioas }
            for row in sorted {
                let known = snapshot.backings.first { row.backing == nil ? $0.kind == .physical : $0.id == row.backing }
                guard let backing = known?.id else {
                    throw .inconsistent(
                        place: "area of \(row.requester) at \(row.range.first)",
                        what: "backing \(row.backing?.description ?? "physical") is not one of the machine's")
                }
                snapshot.areas.append(
                    AreaRecord(
                        ioas: object.ioas, range: row.range, backing: backing, offset: row.offset,
                        protection: row.protection))
            }
        }
        snapshot.normalize()
    }

    private static func key(_ rows: [AreaCSV.Row]) -> [AreaRecord] {
        rows.map {
            AreaRecord(
                ioas: IOASID(0), range: $0.range, backing: $0.backing ?? BackingID(0), offset: $0.offset,
                protection: $0.protection)
        }.sorted { $0.range < $1.range }
    }
}
