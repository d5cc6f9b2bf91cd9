import Glibc
import SQLite

/// A store file in memory whose rows take any value: the schema's `STRICT`, `NOT NULL` and `CHECK` are off while it is
/// edited, and its text is put back before a reader sees it.
struct EditableStore: ~Copyable {
    /// A table of records.
    struct Table {
        var name: String
        /// Goes into the checksums of its rows.
        var number: UInt32
        /// The last one is the checksum.
        var columns: [String]
        /// The primary key's columns.
        var key: [String]
        /// As the schema has it.
        var sql: String
    }

    let connection: Connection
    let base: Base

    /// What every edit begins from: made once.
    struct Base {
        /// As it is on disk.
        let original: [UInt8]
        /// With a schema that takes any value.
        let loose: [UInt8]
        let tables: [Table]

        /// Reads the golden store beside the tests.
        static let golden: Base = {
            let path =
                #filePath.split(separator: "/").dropLast(5).map { "/" + $0 }.joined()
                + "/Tests/Fixtures/store/version-2.domstore"
            do { return try Base(ScratchStore.bytes(at: path)) } catch { preconditionFailure("\(path): \(error)") }
        }()

        private init(_ bytes: [UInt8]) throws {
            let connection = try EditableStore.open(bytes)
            var tables: [Table] = []
            do {
                // In the order of their numbers, which is that of the migration.
                let rows = try connection.prepare(
                    "SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY rowid")
                while try rows.step() {
                    let (name, sql) = (rows.text(0) ?? "", rows.text(1) ?? "")
                    var table = Table(name: name, number: UInt32(tables.count + 1), columns: [], key: [], sql: sql)
                    let columns = try connection.prepare(
                        "SELECT name, pk FROM pragma_table_info('\(name)') ORDER BY cid")
                    var key: [(Int64, String)] = []
                    while try columns.step() {
                        table.columns.append(columns.text(0) ?? "")
                        if columns.integer(1) > 0 { key.append((columns.integer(1), columns.text(0) ?? "")) }
                    }
                    table.key = key.sorted { $0.0 < $1.0 }.map(\.1)
                    tables.append(table)
                }
            }
            precondition(tables.count == 22 && tables[21].name == "seal", "another schema")
            try connection.execute("PRAGMA writable_schema = ON")
            try connection.execute(
                """
                UPDATE sqlite_schema SET sql = replace(replace(replace(sql, ') STRICT, ', ') '), ') STRICT', ')'), ' NOT NULL', '')
                WHERE type = 'table'
                """)
            original = bytes
            loose = connection.withDeserialized { Array($0) } ?? []
            self.tables = tables
        }
    }

    /// The base, to be edited.
    init(_ base: Base) throws {
        let connection = try Self.open(base.loose)
        try connection.execute("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF")
        self.base = base
        self.connection = connection
    }

    private static func open(_ bytes: [UInt8]) throws -> Connection {
        guard let memory = Connection.allocate(bytes.count) else { preconditionFailure("no memory") }
        bytes.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        let connection = try Connection(path: ":memory:", flags: [.readWrite, .memory, .noMutex])
        try connection.deserialize(writable: memory, count: bytes.count)
        return connection
    }

    /// The file with its schema as it was.
    borrowing func finish() throws -> [UInt8] {
        try connection.execute("PRAGMA writable_schema = ON")
        let update = try connection.prepare("UPDATE sqlite_schema SET sql = ? WHERE type = 'table' AND name = ?")
        for table in base.tables {
            try update.bind(1, text: table.sql)
            try update.bind(2, text: table.name)
            try update.run()
        }
        return connection.withDeserialized { Array($0) } ?? []
    }
}
