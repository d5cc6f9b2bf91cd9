import Store

/// How many of each kind of object a generation has.
struct StoreCounts {
    /// In the order in which they are shown.
    let values: [(name: String, count: Int64)]

    /// Counts rows, whatever a seal says of them.
    init(_ reader: borrowing GenerationReader) throws(Failure) {
        let rows = [
            ("units", "unit"), ("devices", "device"), ("groups", "iommu_group"), ("domains", "domain"),
            ("attachments", "attachment"), ("ioases", "ioas"), ("hwpts", "hwpt"), ("sessions", "session"),
            ("events", "event"),
        ].map { "(SELECT count(*) FROM \($1)) AS \($0)" }
        let chunks = [
            ("areas", "record_count", "area_chunk"), ("table_pages", "page_count", "table_chunk"),
            ("lookup_pages", "page_count", "lookup_chunk"),
        ].map { "(SELECT coalesce(sum(\($1)), 0) FROM \($2)) AS \($0)" }
        var names: [String] = []
        var counts: [Int64] = []
        do throws(StoreError) {
            try reader.query("SELECT " + (rows + chunks).joined(separator: ", "), columns: { names = $0 }) { values in
                counts = values.map { if case .integer(let count) = $0 { count } else { 0 } }
                return true
            }
        } catch {
            throw Failure(error, about: reader.header.path)
        }
        values = zip(names, counts).map { ($0, $1) }
    }
}
