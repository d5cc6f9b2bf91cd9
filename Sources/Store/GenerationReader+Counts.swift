import SQLite

extension GenerationReader {
    /// How many objects of each kind the file has, by the names and in the order of `info`: rows, and what the chunks say
    /// that they hold. Counted, whatever a manifest says; nothing is verified. Walks every page but those that only the
    /// contents of chunks are on.
    public borrowing func counts() throws(StoreError) -> [(name: String, count: Int64)] {
        let rows = [
            ("units", RecordTable.unit), ("devices", .device), ("groups", .group), ("domains", .domain),
            ("attachments", .attachment), ("ioases", .ioas), ("hwpts", .hwpt), ("sessions", .session),
            ("events", .event),
        ].map { "(SELECT count(*) FROM \($1.name)) AS \($0)" }
        let chunks = [
            ("areas", "record_count", RecordTable.areaChunk), ("table_pages", "page_count", .tableChunk),
            ("lookup_pages", "page_count", .lookupChunk),
        ].map { "(SELECT coalesce(sum(\($1)), 0) FROM \($2.name)) AS \($0)" }
        do throws(SQLiteError) {
            let statement = try connection.prepare("SELECT " + (rows + chunks).joined(separator: ", "))
            guard try statement.step() else { return [] }
            return (0..<statement.columnCount).map { (statement.columnName($0), statement.integer($0)) }
        } catch { throw StoreError(error) }
    }
}
