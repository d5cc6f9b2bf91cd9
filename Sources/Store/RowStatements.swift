import SQLite

/// The statements that change rows of one table which are there already, by primary key.
final class RowStatements {
    /// Writes a row, in the place of the one with its key if there is one.
    let replace: Statement
    /// The checksum of the row with a key.
    let lookup: Statement
    /// Removes the row with a key.
    let remove: Statement

    init(_ table: RecordTable, _ connection: borrowing Connection) throws(SQLiteError) {
        replace = try connection.prepare(table.replaceSQL, persistent: true)
        lookup = try connection.prepare(table.lookupSQL, persistent: true)
        remove = try connection.prepare(table.removeSQL, persistent: true)
    }

    /// The checksum of the row whose key is bound to ``lookup``; `nil` when there is none.
    func checksum() throws(SQLiteError) -> UInt64? {
        defer { lookup.reset() }
        guard try lookup.step() else { return nil }
        let bytes = lookup.bytes(0)
        guard bytes.count == 8 else { return nil }
        return UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
    }
}
