import Foundation
import IOMMUModel
import Migrations
import SQLite
import Snapshot
import Testing

@testable import Store

/// Migrations of files, by a version 3 that only these tests know: a column in a table, a table of records, a view.
@Suite("Migrations of files")
struct MigrationTests {
    static let third = Migration(
        version: 3,
        sql: """
            CREATE TABLE session_2 (
                id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 4294967295),
                name TEXT NOT NULL,
                letters INTEGER NOT NULL CHECK (letters >= 0),
                checksum BLOB NOT NULL CHECK (length(checksum) = 8)
            ) STRICT;
            INSERT INTO session_2 SELECT id, name, length(name), checksum FROM session;
            DROP VIEW session_view;
            DROP TABLE session;
            ALTER TABLE session_2 RENAME TO session;
            CREATE VIEW session_view AS SELECT id AS session, name, letters FROM session ORDER BY id;
            CREATE TABLE host (
                id INTEGER PRIMARY KEY CHECK (id = 1), units INTEGER NOT NULL, checksum BLOB NOT NULL
            ) STRICT;
            INSERT INTO host SELECT 1, count(*), x'0000000000000000' FROM unit;
            """, tables: ["host": 23])
    static let three = Migrations.all + [third]

    static func text(_ sql: String, _ path: String) throws -> [[SQLValue]] {
        let connection = try Connection(path: path, flags: [.readOnly])
        let statement = try connection.prepare(sql)
        var rows: [[SQLValue]] = []
        while try statement.step() { rows.append((0..<statement.columnCount).map { statement.value($0) }) }
        return rows
    }

    /// A store of the third version by its own checks, of which the reader of the second version knows nothing.
    private static func defects(_ path: String, _ migrations: [Migration] = Self.three) throws -> [StoreDefect] {
        let connection = try Connection(path: path, flags: [.readOnly])
        _ = try KnownSchema(of: migrations).check(connection)
        return try VersionedStore(of: migrations[...], in: connection).defects(connection)
    }

    /// The seal of a store of `version`.
    private static func seal(_ path: String, _ version: UInt32) throws -> VersionedStore.Seal? {
        let connection = try Connection(path: path, flags: [.readOnly])
        return try VersionedStore(of: Migrations.all[..<Int(version)], in: connection).seal(connection)
    }

    @Test(
        "A sealed generation becomes one of a later version: schema, checksums, manifest, root; the original stays as it is",
        arguments: 1...Migrations.current)
    func sealed(version: UInt32) throws {
        let folder = try Folder()
        let golden = GoldenStoreTests.path(of: version)
        let original = try Data(contentsOf: URL(filePath: golden))
        let outcome = try Migrator.migrate(golden, to: folder["a"], migrations: Self.three)
        #expect((outcome.from, outcome.to, outcome.number, outcome.isCurrent) == (version, 3, 1, false))
        #expect(try Data(contentsOf: URL(filePath: golden)) == original)
        #expect(folder.names == ["a"])
        #expect(try FileManager.default.attributesOfItem(atPath: folder["a"])[.posixPermissions] as? Int == 0o444)
        #expect(try Self.defects(folder["a"]) == [])
        #expect(
            try Self.text("SELECT letters, name FROM session_view", folder["a"]) == [[.integer(8), .text("scenario")]])
        #expect(try Self.text("SELECT units FROM host", folder["a"]) == [[.integer(2)]])
        let sealed = try #require(try Self.seal(golden, version))
        let (old, new) = (try #require(outcome.oldSeal), try #require(outcome.newSeal))
        #expect(old == sealed.receipt)
        #expect(new.root != old.root && new.nonce == old.nonce && new.generation == 1)
        let seal = try Self.text("SELECT lower(hex(root)), table_count, row_count FROM seal", folder["a"])
        #expect(seal == [[.text(new.root.description), .integer(21), .integer(sealed.rowCount + 1)]])
        // Every row that the migration did not touch is the same, its checksum too.
        for table in RecordTable.manifested where table != .session {
            let sql = "SELECT * FROM \(table.name)"
            #expect(try Self.text(sql, folder["a"]) == Self.text(sql, golden), "\(table.name)")
        }
        // A program of the second version says what it is.
        #expect(throws: StoreError.tooNew(found: 3, supported: 2)) {
            _ = try GenerationReader(path: folder["a"]).header
        }
        // Once more: it is current.
        let again = try Migrator.migrate(folder["a"], to: folder["b"], migrations: Self.three)
        #expect(again.isCurrent && again.to == 3)
        #expect(folder.names == ["a"])
    }

    @Test("A flipped byte of a migrated record is found: its sums were made, not skipped")
    func negative() throws {
        let folder = try Folder()
        _ = try Migrator.migrate(GoldenStoreTests.path, to: folder["2"], migrations: Self.three)
        for (change, rules) in [
            ("UPDATE session SET letters = 9", [RuleID.recordChecksum, .manifestDiffers, .rootDigestDiffers]),
            ("UPDATE host SET units = 9", [.recordChecksum, .manifestDiffers, .rootDigestDiffers]),
            ("DELETE FROM host", [.manifestDiffers, .rootDigestDiffers]),
            ("UPDATE seal SET root = x'0000000000000000'", [.recordChecksum, .rootDigestDiffers]),
            ("DELETE FROM manifest WHERE table_name = 'host'", [.manifestDiffers, .rootDigestDiffers]),
        ] {
            try CutOffTests.setMode(0o644, of: folder["2"])
            let saved = try Data(contentsOf: URL(filePath: folder["2"]))
            do {
                let connection = try Connection(path: folder["2"], flags: [.readWrite])
                try connection.execute(change)
            }
            #expect(try Self.defects(folder["2"]).map(\.rule) == rules, "\(change)")
            try saved.write(to: URL(filePath: folder["2"]))
        }
    }

    @Test("An open generation stays open, and takes its events along")
    func open() throws {
        let folder = try Folder()
        do {
            let writer = try GenerationWriter(creating: folder["1"], number: 4, origin: .engine)
            try writer.append([GenerationTests.event(1)])
            try writer.release()
        }
        let outcome = try Migrator.migrate(folder["1"], to: folder["2"], migrations: Self.three)
        #expect(outcome.number == 4 && outcome.oldSeal == nil && outcome.newSeal == nil)
        #expect(try Self.defects(folder["2"]) == [])
        #expect(try Self.text("SELECT count(*) FROM seal", folder["2"]) == [[.integer(0)]])
        #expect(try Self.text("SELECT sequence FROM event", folder["2"]) == [[.integer(1)]])
        #expect(try FileManager.default.attributesOfItem(atPath: folder["2"])[.posixPermissions] as? Int == 0o644)
    }

    @Test("A child names the new root of its parent")
    func chain() throws {
        let folder = try Folder()
        var first = try GenerationWriter(creating: folder["1"], number: 1, origin: .engine)
        let seal = try first.seal(SnapshotMaker(seed: 4).make(size: 3), nonce: nil)
        try first.release()
        var second = try GenerationWriter(
            creating: folder["2"], number: 2, origin: .engine, parent: ParentGeneration(number: 1, root: seal.root))
        _ = try second.seal(SnapshotMaker(seed: 5).make(size: 3), nonce: nil)
        try second.release()
        let parent = try Migrator.migrate(folder["1"], to: folder["1b"], migrations: Self.three)
        let root = try #require(parent.newSeal).root
        _ = try Migrator.migrate(folder["2"], to: folder["2b"], parents: [seal.root: root], migrations: Self.three)
        #expect(
            try Self.text("SELECT lower(hex(parent_root)) FROM generation", folder["2b"]) == [[.text(root.description)]]
        )
        #expect(try Self.defects(folder["2b"]) == [])
    }

    @Test("A file of the newest version is current, and nothing is written")
    func current() throws {
        let folder = try Folder()
        let outcome = try Migrator.migrate(GoldenStoreTests.path, to: folder["out"])
        #expect(outcome.isCurrent && outcome.from == Migrations.current && outcome.number == 1)
        #expect(folder.names == [])
    }

    @Test("A damaged original, an existing output and a migration that fails leave nothing behind")
    func refused() throws {
        let folder = try Folder()
        var bytes = try Data(contentsOf: URL(filePath: GoldenStoreTests.path))
        let place = try #require(bytes.firstRange(of: Data("e1000e".utf8))).lowerBound
        bytes[place] ^= 1
        try bytes.write(to: URL(filePath: folder["damaged"]))
        func error(_ path: String, _ migrations: [Migration] = Self.three) throws -> StoreError? {
            do throws(StoreError) {
                _ = try Migrator.migrate(path, to: folder["out"], migrations: migrations)
                return nil
            } catch { return error }
        }
        guard
            case .recordDamaged(table: "device", key: _, what: _, rule: .recordChecksum) = try error(folder["damaged"])
        else {
            Issue.record("\(String(describing: try error(folder["damaged"])))")
            return
        }
        for sql in ["CREATE TABLE unit (a)", "UPDATE device SET driver = NULL", "DELETE FROM unit"] {
            let bad = Migration(version: 3, sql: sql, tables: [:])
            guard case .verificationFailed = try error(GoldenStoreTests.path, Migrations.all + [bad]) else {
                Issue.record("\(sql): \(String(describing: try error(GoldenStoreTests.path, Migrations.all + [bad])))")
                continue
            }
        }
        #expect(folder.names == ["damaged"])
        try Data("mine".utf8).write(to: URL(filePath: folder["out"]))
        #expect(try error(GoldenStoreTests.path) == .alreadyExists(path: folder["out"]))
        #expect(try Data(contentsOf: URL(filePath: folder["out"])) == Data("mine".utf8))
    }

    @Test("A version of the future is refused by both numbers, one before the first as too old")
    func versions() throws {
        let folder = try Folder()
        var bytes = try Data(contentsOf: URL(filePath: GoldenStoreTests.path))
        for (version, error) in [
            (UInt8(9), StoreError.tooNew(found: 9, supported: 3)), (0, .tooOld(found: 0, supported: 1)),
        ] {
            bytes[63] = version
            try bytes.write(to: URL(filePath: folder["x"]))
            #expect(throws: error) { _ = try Migrator.migrate(folder["x"], to: folder["out"], migrations: Self.three) }
        }
        #expect(StoreError.tooNew(found: 9, supported: 3).description.contains("9 is newer than 3"))
    }

    /// A copy of the golden store with one more feature, its sums made good.
    static func withFeature(_ feature: Feature, in folder: Folder) throws -> String {
        let path = folder["feature"]
        try FileManager.default.copyItem(atPath: GoldenStoreTests.path, toPath: path)
        try CutOffTests.setMode(0o644, of: path)
        let connection = try Connection(path: path, flags: [.readWrite])
        try connection.execute("BEGIN")
        try TableWriter(.feature, connection).write([FeatureRow(feature)])
        try VersionedStore(of: Migrations.all[...], in: connection).seal(again: connection)
        try connection.execute("COMMIT")
        return path
    }

    @Test("An unknown required feature is refused with both versions named, by reader and migration")
    func requiredFeature() throws {
        let folder = try Folder()
        let path = try Self.withFeature(Feature(bit: 7, name: "riddles", isRequired: true), in: folder)
        let error = StoreError.unknownFeature(bit: 7, name: "riddles", version: 2, supported: 2)
        #expect(throws: error) { _ = try GenerationReader(path: path).header }
        #expect(throws: StoreError.unknownFeature(bit: 7, name: "riddles", version: 2, supported: 3)) {
            _ = try Migrator.migrate(path, to: folder["out"], migrations: Self.three)
        }
        #expect(
            error.description
                == "format version 2 with the required feature 7 (riddles); this program reads version 2 with 0 (page-runs)"
        )
        // A known bit under another name is another feature.
        let other = try Folder()
        try FileManager.default.copyItem(atPath: GoldenStoreTests.path, toPath: other["a"])
        try CutOffTests.setMode(0o644, of: other["a"])
        do {
            let connection = try Connection(path: other["a"], flags: [.readWrite])
            try connection.execute("BEGIN; UPDATE feature SET name = 'page-runs-2'")
            try VersionedStore(of: Migrations.all[...], in: connection).seal(again: connection)
            try connection.execute("COMMIT")
        }
        #expect(throws: StoreError.unknownFeature(bit: 0, name: "page-runs-2", version: 2, supported: 2)) {
            _ = try GenerationReader(path: other["a"]).header
        }
    }

    @Test("An unknown optional feature is passed over, named, and kept by a migration")
    func optionalFeature() throws {
        let folder = try Folder()
        let feature = Feature(bit: 62, name: "riddles", isRequired: false)
        let path = try Self.withFeature(feature, in: folder)
        let reader = try GenerationReader(path: path)
        #expect(reader.defects() == [])
        #expect(reader.header.features == [.pageRuns, feature])
        #expect(try reader.snapshot() == GenerationReader(path: GoldenStoreTests.path).snapshot())
        _ = try Migrator.migrate(path, to: folder["out"], migrations: Self.three)
        #expect(
            try Self.text("SELECT name FROM feature ORDER BY bit", folder["out"]) == [
                [.text("page-runs")], [.text("riddles")],
            ])
    }

    @Test("A hot journal of an open original is rolled back in a copy first")
    func hotJournal() throws {
        let folder = try Folder()
        try CutOffTests.tear(SnapshotMaker(seed: 9).make(size: 30), in: folder, to: folder["cut"])
        let outcome = try Migrator.migrate(folder["cut"], to: folder["out"], migrations: Self.three)
        #expect(outcome.newSeal == nil)
        #expect(try Self.defects(folder["out"]) == [])
    }

    @Test("The numbers of the first version's tables are those that go into checksums")
    func numbers() throws {
        let first = try #require(Migrations.all.first)
        #expect(first.tables == Dictionary(uniqueKeysWithValues: RecordTable.allCases.map { ($0.name, $0.rawValue) }))
        let connection = try Connection(path: GoldenStoreTests.path(of: 1), flags: [.readOnly])
        for table in try VersionedTable.all(of: Migrations.all[..<1], in: connection) {
            let known = try #require(RecordTable(rawValue: table.number))
            #expect(table.columns == known.columns && table.isManifested == RecordTable.manifested.contains(known))
            #expect(table.key == Array(known.columns.prefix(known.primaryKeyColumnCount)))
        }
    }
}
