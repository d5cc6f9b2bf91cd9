import IOMMUModel
import SQLite
import Snapshot
import Testing

@testable import Store

@Suite("Queries")
struct QueryTests {
    static func all(
        _ sql: String, _ reader: borrowing GenerationReader, limits: QueryLimits = QueryLimits(),
        tables: [VirtualTable] = []
    ) throws -> [[SQLValue]] {
        var rows: [[SQLValue]] = []
        try reader.query(sql, limits: limits, tables: tables) {
            rows.append($0)
            return true
        }
        return rows
    }

    /// A sealed generation with `size` devices.
    static func sealed(_ size: Int, in folder: Folder, seed: UInt64 = 11) throws -> (path: String, snapshot: Snapshot) {
        let snapshot = SnapshotMaker(seed: seed).make(size: size)
        var writer = try GenerationWriter(creating: folder["q"], number: 1, origin: .engine)
        _ = try writer.seal(snapshot, nonce: nil)
        try writer.release()
        return (folder["q"], snapshot)
    }

    @Test("The words of all runs, and the rows of words, are those of the recorded pages", arguments: [0, 1, 30])
    func words(size: Int) throws {
        let folder = try Folder()
        let (path, snapshot) = try Self.sealed(size, in: folder)
        let reader = try GenerationReader(path: path)
        var words: [[SQLValue]] = []
        var spread: [[SQLValue]] = []
        for owner in snapshot.tablePages {
            for (index, entry) in owner.pages.entries.enumerated() {
                var page = [UInt64](repeating: 0, count: 512)
                owner.pages.decode(index, into: &page)
                for (slot, word) in page.enumerated() {
                    let head: [SQLValue] = [
                        .integer(Int64(owner.domain.rawValue)), .text(entry.address.description),
                        .integer(Int64(entry.level)), .integer(Int64(slot)),
                    ]
                    spread.append(head + [.text(hex(word, digits: 16))])
                    if word == 0 { continue }
                    words.append(
                        head + [
                            .text(hex(entry.address.rawValue + UInt64(slot) * 8, digits: 16)),
                            .text(hex(word, digits: 16)),
                            .integer(Int64(bitPattern: word)),
                        ])
                }
            }
        }
        #expect(try Self.all("SELECT * FROM table_word", reader) == words)
        var told: [[SQLValue]] = []
        for row in try Self.all("SELECT * FROM table_run", reader) {
            guard case .integer(let slot) = row[3], case .integer(let count) = row[4], case .text(let text) = row[5],
                case .integer(let stride) = row[6], let first = UInt64(text.dropFirst(2), radix: 16)
            else {
                Issue.record("\(row)")
                return
            }
            for step in 0..<count {
                told.append(
                    Array(row.prefix(3)) + [
                        .integer(slot + step),
                        .text(hex(first &+ UInt64(step) &* UInt64(bitPattern: stride), digits: 16)),
                    ])
            }
        }
        #expect(told == spread)
    }

    @Test("One owner or one page asked for gives exactly its rows, whatever the type of the value")
    func keys() throws {
        let folder = try Folder()
        let (path, snapshot) = try Self.sealed(20, in: folder)
        let reader = try GenerationReader(path: path)
        let all = try Self.all("SELECT * FROM lookup_word", reader)
        #expect(!all.isEmpty)
        for (condition, expected) in [
            ("unit = 2", all.filter { $0[0] == .integer(2) }), ("unit = '2'", all.filter { $0[0] == .integer(2) }),
            ("unit = 3", []), ("unit = 2.0", all.filter { $0[0] == .integer(2) }), ("unit IS NULL", []),
            ("unit IN (1, 2)", all), ("address = 7", []), ("address = 'x'", []),
            ("address = '0x'", []), ("address = NULL", []),
        ] {
            #expect(try Self.all("SELECT * FROM lookup_word WHERE \(condition)", reader) == expected, "\(condition)")
        }
        let pages = try #require(snapshot.tablePages.first).pages.entries
        let words = try Self.all("SELECT * FROM table_word", reader)
        for index in [0, 1, pages.count / 2, pages.count - 1] {
            let address = SQLValue.text(pages[index].address.description)
            let found = try Self.all("SELECT * FROM table_word WHERE address = '\(pages[index].address)'", reader)
            #expect(found == words.filter { $0[1] == address } && !found.isEmpty)
            #expect(
                try Self.all(
                    "SELECT * FROM table_word WHERE domain = 5 AND address = '\(pages[index].address)'", reader)
                    == found)
        }
        // Two walks at once, one inside the other.
        let joined = try Self.all(
            "SELECT count(*) FROM lookup_run AS a JOIN lookup_run AS b ON a.address = b.address AND a.unit = b.unit AND a.slot = b.slot",
            reader)
        #expect(joined == (try Self.all("SELECT count(*) FROM lookup_run", reader)))
    }

    @Test(
        "Whatever does more than read is refused, and says what",
        arguments: [
            ("ATTACH '/tmp/x' AS x", "ATTACH"), ("DETACH x", "DETACH"), ("VACUUM", "writes"),
            ("VACUUM INTO '/tmp/domstore-vacuum'", "writes"), ("BEGIN", "transaction"), ("SAVEPOINT a", "transaction"),
            ("INSERT INTO session VALUES (1, '', x'')", "change of session"), ("DELETE FROM seal", "change of seal"),
            ("UPDATE seal SET root = x''", "change of seal"), ("CREATE TABLE a (b)", "not allowed"),
            ("CREATE TEMP TABLE a (b)", "not allowed"), ("CREATE TEMP VIEW a AS SELECT 1", "not allowed"),
            ("CREATE VIRTUAL TABLE a USING fts5(b)", "not allowed"), ("DROP TABLE seal", "not allowed"),
            ("CREATE TEMP TRIGGER t AFTER INSERT ON seal BEGIN SELECT 1; END", "not allowed"),
            ("ALTER TABLE seal RENAME TO x", "not allowed"), ("ANALYZE", "not allowed"), ("REINDEX", "not allowed"),
            ("PRAGMA user_version = 3", "PRAGMA user_version"), ("PRAGMA user_version(3)", "PRAGMA user_version"),
            ("PRAGMA journal_mode = OFF", "PRAGMA journal_mode"), ("PRAGMA writable_schema = ON", "PRAGMA"),
            ("PRAGMA temp_store_directory = '/tmp'", "PRAGMA"), ("PRAGMA mmap_size = 100", "PRAGMA"),
            ("PRAGMA cell_size_check = OFF", "PRAGMA"), ("PRAGMA trusted_schema = ON", "PRAGMA"),
            ("PRAGMA incremental_vacuum", "PRAGMA"), ("PRAGMA wal_checkpoint", "PRAGMA"), ("PRAGMA optimize", "PRAGMA"),
            ("PRAGMA shrink_memory", "PRAGMA"), ("PRAGMA hard_heap_limit = 0", "PRAGMA"),
            ("SELECT load_extension('x')", "load_extension"), ("SELECT fts3_tokenizer('x')", "fts3_tokenizer"),
            ("SELECT sqlite_rename_table(1,1,1,1,1,1,1)", "sqlite_rename_table"),
            ("SELECT 1; SELECT 2", "more than one"),
            ("SELECT 1; DROP TABLE seal", "more than one"), ("", "no statement"), (" -- nothing", "no statement"),
            ("SELEC", "syntax error"), ("SELECT nowhere", "no such column"),
            ("SELECT 1 FROM sqlite_dbpage", "no such table"),
            ("DELETE FROM table_run", "modified"), ("SELECT ?1 FROM nowhere", "no such table"),
        ])
    func refused(sql: String, words: String) throws {
        let reader = try GenerationReader(path: GoldenStoreTests.path)
        do {
            _ = try Self.all(sql, reader)
            Issue.record("\(sql) was answered")
        } catch let StoreError.queryRefused(what) {
            #expect(what.contains(words), "\(what)")
            #expect(!what.contains("\n"))
        }
        // The next one is answered all the same.
        #expect(try Self.all("SELECT count(*) FROM seal", reader) == [[.integer(1)]])
    }

    @Test(
        "What only reads is answered",
        arguments: [
            "WITH a (b) AS (VALUES (1), (2)) SELECT sum(b) FROM a", "SELECT count(*) FROM json_each('[1,2]')",
            "SELECT name FROM pragma_table_info('unit')", "PRAGMA table_info(unit)", "PRAGMA user_version",
            "PRAGMA integrity_check", "EXPLAIN QUERY PLAN SELECT * FROM area",
            "SELECT * FROM area_chunk ORDER BY records",
            "SELECT upper(name) || printf('%d', 1) || hex(value) FROM unit_register", "SELECT 1; ; -- end",
            "SELECT '{\"a\": 1}' ->> 'a', json_group_array(id) FROM unit",
            "SELECT name FROM unit_register WHERE name LIKE 'c%'",
            "SELECT * FROM sqlite_schema", "SELECT row_number() OVER (ORDER BY id) FROM domain",
            "SELECT number('0xffffffffffffffff'), address(-1)", "SELECT name FROM unit_register WHERE name GLOB 'c*'",
        ])
    func answered(sql: String) throws {
        let reader = try GenerationReader(path: GoldenStoreTests.path)
        #expect(try !Self.all(sql, reader).isEmpty)
    }

    @Test("Numbers and addresses convert both ways, and nothing else does")
    func numbers() throws {
        let reader = try GenerationReader(path: GoldenStoreTests.path)
        let row = try Self.all(
            """
            SELECT number('0x0000000000001000'), number('0xFFFFFFFFFFFFFFFF'), number('1000'), number('0x'), number(5),
                number('0x+1'), number('0x00000000000010000'), address(4096), address(-1), address('4096'), address(NULL)
            """, reader)
        #expect(
            row == [
                [
                    .integer(4096), .integer(-1), .null, .null, .null, .null, .null, .text("0x0000000000001000"),
                    .text("0xffffffffffffffff"), .null, .null,
                ]
            ])
    }

    @Test("Time, rows and sizes of values end a query with a line that names the limit")
    func limits() throws {
        let reader = try GenerationReader(path: GoldenStoreTests.path)
        let endless = "WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t)"
        func end(_ sql: String, _ limits: QueryLimits) throws -> String? {
            do {
                _ = try Self.all(sql, reader, limits: limits)
                return nil
            } catch let StoreError.queryLimit(what) { return what }
        }
        #expect(try end("\(endless) SELECT count(*) FROM t", QueryLimits(seconds: 1)) == "more than 1 seconds")
        #expect(try end("\(endless) SELECT n FROM t", QueryLimits(rows: 10)) == "more than 10 rows")
        #expect(try end("\(endless) SELECT n FROM t LIMIT 10", QueryLimits(rows: 10)) == nil)
        #expect(try end("SELECT zeroblob(100000000)", QueryLimits())?.hasPrefix("a value") == true)
        #expect(
            try end(
                "SELECT count(*) FROM table_word AS a, table_word AS b, table_word AS c, table_word AS d, table_word AS e, table_word AS f WHERE a.value + b.value + c.value + d.value + e.value + f.value = 1",
                QueryLimits(seconds: 1)) == "more than 1 seconds")
        // They are gone with the query.
        #expect(try Self.all("SELECT count(*) FROM seal", reader) == [[.integer(1)]])
        #expect(reader.defects() == [])
    }

    @Test("Columns are told once, no name twice; false ends the query")
    func columns() throws {
        let reader = try GenerationReader(path: GoldenStoreTests.path)
        var told: [[String]] = []
        var rows = 0
        try reader.query("SELECT id, id, 1 AS id_2, kind FROM unit") {
            told.append($0)
        } row: { _ in
            rows += 1
            return false
        }
        #expect(told == [["id", "id_2", "id_2_2", "kind"]])
        #expect(rows == 1)
    }

    @Test("A damaged page has no rows, the others have theirs")
    func damaged() throws {
        let folder = try Folder()
        let (path, _) = try Self.sealed(2, in: folder)
        let all = try Self.all("SELECT DISTINCT address FROM table_run", GenerationReader(path: path))
        try CutOffTests.setMode(0o644, of: path)
        do {
            let connection = try Connection(path: path, flags: [.readWrite])
            // The first page's runs end behind the chunk's.
            try connection.execute(
                "UPDATE table_chunk SET directory = CAST(substr(directory, 1, 12) || x'7fffffff' || substr(directory, 17) AS BLOB)"
            )
        }
        let reader = try GenerationReader(path: path)
        let rest = try Self.all("SELECT DISTINCT address FROM table_run", reader)
        #expect(rest.count < all.count)
        #expect(!reader.defects().isEmpty)
    }
}
