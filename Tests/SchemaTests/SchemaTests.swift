import Migrations
import SQLite
import Schema
import Testing

@testable import Store

@Suite("Schema.sql, the migrations and the program say the same")
struct SchemaTests {
    @Test("The commented schema and the result of all migrations are equal in every fact")
    func equal() throws {
        let commented = try SchemaShape.facts(of: SchemaShape.database(CanonicalSchema.sql))
        let migrated = try SchemaShape.facts(of: SchemaShape.migrated())
        #expect(commented.subtracting(migrated).sorted() == [], "only in Schema/schema.sql")
        #expect(migrated.subtracting(commented).sorted() == [], "only in the migrations")
        #expect(migrated.count > 300)
    }

    @Test(
        "A fresh file has the schema that all migrations, one after the other, make: every text, in the same order",
        arguments: 1...Migrations.current)
    func whole(version: UInt32) throws {
        let migrations = Migrations.all[..<Int(version)]
        func objects(_ make: (borrowing Connection) throws -> Void) throws -> [KnownSchema.Object] {
            let connection = try SchemaShape.database("BEGIN")
            try make(connection)
            #expect(try connection.integer("PRAGMA user_version") == Int64(version))
            return try KnownSchema.objects(of: connection)
        }
        let fresh = try objects { try MigrationRunner.run(on: $0, migrations) }
        let migrated = try objects { try MigrationRunner.advance($0, migrations) }
        #expect(fresh == migrated)
        #expect(fresh.count == 43)
    }

    /// Tables of which an insertion makes SQLite open an ephemeral one, of the schema of `version`.
    private func opening(_ version: UInt32) throws -> Set<String> {
        let connection = try SchemaShape.database("BEGIN")
        try MigrationRunner.run(on: connection, Migrations.all[..<Int(version)])
        var found: Set<String> = []
        for table in RecordTable.allCases {
            for sql in [table.insertSQL(), table.insertSQL(rows: TableWriter.rowsAtOnce), table.replaceSQL] {
                let program = try connection.prepare("EXPLAIN " + sql)
                while try program.step() {
                    if program.text(1) == "OpenEphemeral" { found.insert(table.name) }
                }
            }
        }
        return found
    }

    @Test("No row that is written costs an ephemeral table; of version 1 those of seven tables did")
    func ephemeral() throws {
        #expect(try opening(Migrations.current) == [])
        #expect(
            try opening(1) == [
                "unit", "memory_range", "iommu_group", "reserved_region", "domain", "domain_unit", "event",
            ])
    }

    @Test(
        "A difference of any sort is seen",
        arguments: [
            ("name TEXT NOT NULL,\n    required", "title TEXT NOT NULL,\n    required"),
            ("driver TEXT NOT NULL", "driver TEXT"),
            ("driver TEXT NOT NULL", "driver BLOB NOT NULL"),
            ("driver TEXT NOT NULL", "driver TEXT NOT NULL DEFAULT ''"),
            ("bit BETWEEN 0 AND 62", "bit BETWEEN 0 AND 63"),
            ("OR format = 'riscv'", "OR format = 'risc-v'"),
            ("OR kind = 'arena'", ""),
            ("CHECK (tagged = 1 OR pasid = 0)", "CHECK (tagged = 1 OR pasid >= 0)"),
            ("ioas INTEGER NOT NULL REFERENCES ioas (id)", "ioas INTEGER NOT NULL REFERENCES domain (id)"),
            ("ioas INTEGER NOT NULL REFERENCES ioas (id)", "ioas INTEGER NOT NULL"),
            ("PRIMARY KEY (unit, name)", "PRIMARY KEY (name, unit)"),
            (") STRICT, WITHOUT ROWID;", ") STRICT;"),
            (") STRICT;", ");"),
            ("FROM session ORDER BY id", "FROM session ORDER BY name"),
            ("CREATE VIEW session_view", "CREATE VIEW sessions_view"),
            ("-- Views:", "CREATE INDEX by_driver ON device (driver);\n-- Views:"),
        ])
    func planted(text: String, other: String) throws {
        let sql = CanonicalSchema.sql
        let place = try #require(sql.firstRange(of: text), "the text to change is not there")
        var changed = sql
        changed.replaceSubrange(place, with: other)
        let facts = try SchemaShape.facts(of: SchemaShape.database(changed))
        #expect(try facts != SchemaShape.facts(of: SchemaShape.migrated()))
    }

    @Test("A comment and a line break are no difference")
    func comments() throws {
        let changed = CanonicalSchema.sql.split(separator: "\n").map { "\($0) -- so\n" }.joined(separator: "\n")
        #expect(
            try SchemaShape.facts(of: SchemaShape.database(changed)) == SchemaShape.facts(of: SchemaShape.migrated()))
    }

    @Test("Every table is a record table, and every column but the checksum is digested, in the order of the schema")
    func digested() throws {
        let connection = try SchemaShape.migrated()
        let tables = try KnownSchema.objects(of: connection).filter { $0.type == "table" }.map(\.name)
        #expect(Set(tables) == Set(RecordTable.allCases.map(\.name)))
        #expect(RecordTable.allCases.map(\.rawValue) == Array(1...22))
        for table in RecordTable.allCases {
            let statement = try connection.prepare("SELECT * FROM \(table.name)")
            let columns = (0..<statement.columnCount).map { statement.columnName($0) }
            #expect(columns == table.columns + ["checksum"], "\(table.name)")
        }
    }

    @Test("The schema read off its text is the one that the text makes; others than plain ones are not read")
    func read() throws {
        let read = try #require(KnownSchema(reading: Migrations.all))
        #expect(read.objects == (try KnownSchema(of: Migrations.all)).objects)
        for sql in ["CREATE INDEX i ON unit (kind);\n", "INSERT INTO unit VALUES (1);\n", "DROP VIEW unit_view;\n"] {
            let other = Migration(version: Migrations.current + 1, sql: sql, tables: [:])
            #expect(KnownSchema(reading: Migrations.all + [other]) == nil, "\(sql)")
        }
    }

    @Test("There is a migration per version, and the newest is the one that files have")
    func versions() throws {
        #expect(Migrations.all.map(\.version) == Array(1...Migrations.current))
        let connection = try SchemaShape.migrated()
        #expect(try connection.integer("PRAGMA user_version") == Int64(Migrations.current))
        #expect(try connection.integer("PRAGMA application_id") == Int64(Migrations.applicationID))
    }
}
