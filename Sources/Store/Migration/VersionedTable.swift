import Migrations
import SQLite

/// A record table of any format version, as its schema says: no decoder of its rows is needed to check or compute their
/// checksums.
struct VersionedTable {
    var name: String
    /// Goes into the checksums of its rows.
    var number: UInt32
    /// All but the last one, `checksum`, in the order of the schema.
    var columns: [String]
    /// The primary key's columns.
    var key: [String]

    /// The tables of the version that `migrations` end at, in the order of their numbers.
    static func all(
        of migrations: ArraySlice<Migration>, in connection: borrowing Connection
    ) throws(StoreError) -> [VersionedTable] {
        var numbers: [String: UInt32] = [:]
        for migration in migrations { numbers.merge(migration.tables) { _, new in new } }
        var tables: [VersionedTable] = []
        for (name, number) in numbers.sorted(by: { $0.value < $1.value }) {
            do {
                let statement = try connection.prepare("SELECT name, pk FROM pragma_table_info('\(name)') ORDER BY cid")
                var columns: [String] = []
                var key: [(Int64, String)] = []
                while try statement.step() {
                    let column = statement.text(0) ?? ""
                    columns.append(column)
                    if statement.integer(1) > 0 { key.append((statement.integer(1), column)) }
                }
                // A later migration may have dropped it.
                if columns.isEmpty { continue }
                precondition(columns.popLast() == "checksum" && !key.isEmpty, "\(name) is no table of records")
                tables.append(
                    VersionedTable(
                        name: name, number: number, columns: columns, key: key.sorted { $0.0 < $1.0 }.map(\.1)))
            } catch { throw StoreError(error) }
        }
        return tables
    }

    /// True unless it is a part of the seal.
    var isManifested: Bool { name != RecordTable.manifest.name && name != RecordTable.seal.name }

    /// Every row in the order of its key: the columns, the stored checksum.
    var selectSQL: String {
        "SELECT \((columns + ["checksum"]).joined(separator: ", ")) FROM \(name) ORDER BY \(key.joined(separator: ", "))"
    }
}
