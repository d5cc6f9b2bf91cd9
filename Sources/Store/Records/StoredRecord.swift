/// A record that is one row of a table.
protocol StoredRecord {
    static var table: RecordTable { get }
    /// Writes every column in order, between ``TableWriter/begin(_:)`` and ``TableWriter/finish()``.
    func write(to row: TableWriter) throws(StoreError)
    /// Reads every column in order.
    init(from row: RowReader) throws(RowDefect)
}

/// What no other row of a table has: its primary key.
protocol StoredKey {
    static var table: RecordTable { get }
    /// Writes the columns of the primary key in order.
    func writeKey(to row: TableWriter) throws(StoreError)
}

extension TableWriter {
    /// Removes the row of each key that has one.
    func remove(_ keys: [some StoredKey]) throws(StoreError) {
        for key in keys {
            begin(.remove)
            try key.writeKey(to: self)
            try finish()
        }
    }

    /// As ``remove(_:)-(Array<StoredKey>)``, of a table whose key is one integer.
    func remove(_ ids: [some FixedWidthInteger]) throws(StoreError) {
        for id in ids {
            begin(.remove)
            try integer(id)
            try finish()
        }
    }
}
