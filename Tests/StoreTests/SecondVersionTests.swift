import Foundation
import IOMMUModel
import Migrations
import SQLite
import Testing

@testable import Store

/// What version 2 made of version 1: other checks, and every row as it was.
@Suite("Migration to version 2")
struct SecondVersionTests {
    /// The golden store of version 1, migrated to `path`.
    private static func migrate(to path: String) throws -> Migrator.Outcome {
        try Migrator.migrate(GoldenStoreTests.path(of: 1), to: path, migrations: Array(Migrations.all[..<2]))
    }

    /// `type`, `name`, `tbl_name` and `sql` of every object, in the order of the file.
    private static func schema(_ path: String) throws -> [[SQLValue]] {
        try MigrationTests.text("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid", path)
    }

    @Test(
        "The golden store of version 1, migrated, is read without a defect; no row has changed but the seal's, by its root"
    )
    func golden() throws {
        let folder = try Folder()
        let outcome = try Self.migrate(to: folder["a"])
        #expect((outcome.from, outcome.to, outcome.number) == (1, 2, 1))
        let reader = try GenerationReader(path: folder["a"])
        #expect(reader.defects() == [])
        #expect(reader.header.formatVersion == 2 && reader.seal?.receipt == outcome.newSeal)
        // What the sqlite3 shell once found in the original.
        let (found, stated) = (try GoldenStoreTests.rows(folder["a"]), try GoldenStoreTests.stated(1))
        for table in RecordTable.allCases where table != .seal {
            #expect(found[table.name] == stated[table.name], "\(table.name)")
        }
        #expect(found["seal"] != stated["seal"])
        let sql = "SELECT id, generation, nonce, table_count, row_count, time_nanoseconds, hash FROM seal"
        #expect(try MigrationTests.text(sql, folder["a"]) == MigrationTests.text(sql, GoldenStoreTests.path(of: 1)))
    }

    @Test("Its state, written by this program, is the same rows and the same root")
    func state() throws {
        let folder = try Folder()
        let outcome = try Self.migrate(to: folder["a"])
        let reader = try GenerationReader(path: folder["a"])
        var writer = try GenerationWriter(creating: folder["b"], number: 1, origin: .engine)
        let receipt = try writer.seal(reader.snapshot(), nonce: reader.seal?.nonce, events: reader.events())
        try writer.release()
        #expect(receipt == outcome.newSeal)
        let (migrated, written) = (try GoldenStoreTests.rows(folder["a"]), try GoldenStoreTests.rows(folder["b"]))
        for table in RecordTable.allCases { #expect(migrated[table.name] == written[table.name], "\(table.name)") }
    }

    @Test("Its schema is that of a fresh file, text by text and in the same order")
    func schema() throws {
        let folder = try Folder()
        _ = try Self.migrate(to: folder["a"])
        let writer = try GenerationWriter(creating: folder["b"], number: 1, origin: .engine)
        try writer.release()
        #expect(try Self.schema(folder["a"]) == Self.schema(folder["b"]))
        #expect(try Self.schema(folder["a"]) != Self.schema(GoldenStoreTests.path(of: 1)))
    }

    /// Columns whose check was another text, with the values that they took and take.
    static let choices: [(table: String, column: String, old: [String], new: [String])] = [
        ("unit", "kind", IOMMUKind.allCases.map(\.rawValue), []),
        ("memory_range", "kind", ["ram", "handover", "arena"], []),
        ("iommu_group", "owner", DMAOwner.allCases.map(\.rawValue), []),
        ("reserved_region", "kind", ReservedRegionKind.allCases.map(\.rawValue), []),
        ("domain", "kind", ["paging", "identity", "blocked", "nested"], []),
        ("domain", "holder", DomainHolder.allCases.map(\.rawValue), []),
        ("domain_unit", "format", ["vtd-second-stage", "amd-v1", "x86-64"], ["armv8-s1", "armv8-s2", "riscv"]),
        ("event", "kind", ["start", "operation", "phase", "fault", "verdict", "revoke"], []),
    ]

    /// The message of what refuses that `column` of every row says `value`; `nil` when it is taken.
    private static func refusal(
        _ value: String, in column: String, of table: String, _ connection: borrowing Connection
    ) throws -> String? {
        // Of a domain and of tables more is asked than the column.
        let rest =
            switch table {
            case "domain": ", parent = \(column == "kind" && value != "nested" ? "NULL" : "id")"
            case "domain_unit":
                ", root_page = 1, top_level = 3, address_bits = 48, sign_extended = 0, hardware_updated_mask = zeroblob(8)"
            default: ""
            }
        let kind = table == "domain" && column == "holder" ? ", kind = 'nested'" : ""
        do {
            try connection.execute("BEGIN; UPDATE \(table) SET \(column) = '\(value)'\(kind)\(rest)")
            try connection.execute("ROLLBACK")
            return nil
        } catch {
            try connection.execute("ROLLBACK")
            return error.message
        }
    }

    @Test("Each check takes what it took, the new formats beside it, and refuses all else", arguments: choices)
    func checks(table: String, column: String, old: [String], new: [String]) throws {
        let folder = try Folder()
        try FileManager.default.copyItem(atPath: GoldenStoreTests.path(of: 1), toPath: folder["1"])
        _ = try Self.migrate(to: folder["2"])
        for (version, taken) in [("1", old), ("2", old + new)] {
            try CutOffTests.setMode(0o644, of: folder[version])
            let connection = try Connection(path: folder[version], flags: [.readWrite])
            for value in taken {
                #expect(try Self.refusal(value, in: column, of: table, connection) == nil, "\(value)")
            }
            let other = ["", "x", "kind", "NULL", " ", taken[0] + " ", taken[0].uppercased(), taken[0] + taken[1]]
            for value in (version == "1" ? new : []) + other {
                let message = try Self.refusal(value, in: column, of: table, connection)
                #expect(message?.hasPrefix("CHECK constraint failed: \(column) ") == true, "\(value): \(message ?? "")")
            }
        }
    }
}
