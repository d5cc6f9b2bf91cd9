/// A record that is one row of a table.
protocol StoredRecord {
    static var table: RecordTable { get }
    /// Writes every column in order, between `begin` and `finish`.
    func write(to row: TableWriter) throws(StoreError)
    /// Reads every column in order.
    init(from row: RowReader) throws(RowDefect)
}

extension TableWriter {
    /// Writes one row per record.
    func write(_ records: [some StoredRecord]) throws(StoreError) {
        for record in records {
            begin()
            try record.write(to: self)
            try finish()
        }
    }
}
