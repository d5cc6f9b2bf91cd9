import Store

/// How many records of each kind a generation holds.
struct StoreCounts {
    /// In the order in which they are shown.
    private(set) var values: [(name: String, count: Int64)] = []

    /// Takes what the manifest of a sealed generation says, and counts an open one's rows.
    init(_ reader: borrowing GenerationReader) throws(Failure) {
        let manifest = try reader.cells(ofView: "manifest_view").rows
        var rows: [String: Int64] = [:]
        for row in manifest {
            if case .text(let table) = row[0], case .integer(let count) = row[1] { rows[table] = count }
        }
        let kinds = [
            ("units", "unit", "unit_view"), ("devices", "device", "device_view"),
            ("groups", "iommu_group", "group_view"), ("domains", "domain", "domain_view"),
            ("attachments", "attachment", "attachment_view"), ("ioases", "ioas", "ioas_view"),
            ("hwpts", "hwpt", "hwpt_view"), ("sessions", "session", "session_view"), ("events", "event", "event_view"),
        ]
        for (name, table, view) in kinds {
            if let count = rows[table] {
                values.append((name, count))
            } else {
                // A domain has one row per unit in its view.
                let first = try reader.cells(ofView: view).rows.map { $0[0] }
                values.append((name, Int64(Set(first).count)))
            }
        }
        values.append(("areas", try Self.sum("areas", of: "ioas_view", reader)))
        values.append(("table_pages", try Self.sum("pages", of: "table_chunk_view", reader)))
        values.append(("lookup_pages", try Self.sum("pages", of: "lookup_chunk_view", reader)))
    }

    private static func sum(
        _ column: String, of view: String, _ reader: borrowing GenerationReader
    ) throws(Failure) -> Int64 {
        let (columns, rows) = try reader.cells(ofView: view)
        guard let index = columns.firstIndex(of: column) else { return 0 }
        return rows.reduce(0) { total, row in
            if case .integer(let count) = row[index] { total + count } else { total }
        }
    }
}
