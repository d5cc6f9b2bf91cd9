import Digest
import IOMMUModel
import SQLite

/// Reads one table row by row and checks each row's checksum and place.
enum TableCheck {
    /// Calls `read` for each row whose checksum is right; what is wrong goes to `defect`. Never stops at the first.
    ///
    /// - Returns: the manifest entry that the rows amount to.
    /// - Throws: only what makes the table unreadable as a whole goes to `defect` too; SQLite errors other than
    ///   corruption (interrupted, out of memory) throw.
    static func read(
        _ table: RecordTable, _ connection: borrowing Connection, _ read: (RowReader) throws(RowDefect) -> Void,
        defect: (StoreDefect) -> Void
    ) throws(StoreError) -> Manifest.Entry {
        var entry = Manifest.Entry()
        do {
            let row = try RowReader(table, connection)
            while try row.next() {
                let checksum = row.computedChecksum()
                entry.add(checksum)
                let stored = row.storedChecksum()
                if stored != checksum {
                    defect(
                        StoreDefect(
                            rule: .recordChecksum, table: table.name, key: row.key(),
                            message: "the checksum of the row is not that of its values",
                            row: stored.map { .init(owner: row.owner(), correction: $0 &- checksum) }))
                    continue
                }
                if !row.isAscending() {
                    defect(
                        StoreDefect(
                            rule: .recordMalformed, table: table.name, key: row.key(),
                            message: "the row is out of order"))
                }
                do throws(RowDefect) {
                    try read(row)
                } catch {
                    defect(
                        StoreDefect(
                            rule: .recordMalformed, table: table.name, key: row.key(),
                            message: "\(error.column) \(error.what)"))
                }
            }
        } catch {
            guard error.isCorrupt else { throw StoreError(error) }
            defect(
                StoreDefect(
                    rule: .recordMalformed, table: table.name, key: "", message: "cannot be read: \(error.message)"))
        }
        return entry
    }
}
