import Foundation
import Glibc
import Testing

/// `sql`: queries over a generation.
@Suite struct SQLVerbTests {
    static let store = Fixtures.stores + "version-2.domstore"
    static let query = "SELECT 1 AS n, NULL AS missing, 'a,b' AS text, x'00ff' AS bytes, 0.5 AS half"

    static func sql(_ arguments: String...) throws -> Binary.Outcome { try Binary.run(["sql", store] + arguments) }

    @Test(arguments: [
        ("table", "n  missing  text  bytes   half\n1  -        a,b   0x00ff   0.5\n"),
        ("csv", "n,missing,text,bytes,half\n1,,\"a,b\",0x00ff,0.5\n"),
        ("json", "[\n{\"n\": 1, \"missing\": null, \"text\": \"a,b\", \"bytes\": \"0x00ff\", \"half\": 0.5}\n]\n"),
        ("jsonl", "{\"n\": 1, \"missing\": null, \"text\": \"a,b\", \"bytes\": \"0x00ff\", \"half\": 0.5}\n"),
    ])
    func `every form has every kind of value`(form: String, expected: String) throws {
        let run = try Self.sql(Self.query, "--format", form)
        #expect(run.status == 0 && run.errors == "")
        #expect(run.output == expected)
    }

    @Test func `without a query every table and view is listed with columns that can be copied into one`() throws {
        let run = try Self.sql("--jsonl")
        #expect(run.status == 0, "\(run.errors)")
        var kinds: [String: Int] = [:]
        for line in run.lines {
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
            let (name, columns) = (try #require(object["name"]), try #require(object["columns"]))
            kinds[object["kind"] ?? "", default: 0] += 1
            let rows = try Self.sql("SELECT \(columns) FROM \(name) LIMIT 1", "--format", "csv")
            #expect(rows.status == 0, "\(name): \(rows.errors)")
        }
        #expect(kinds == ["table": 22, "view": 21, "computed": 5])
    }

    @Test func `mapping has the rows of the verb, for all and for one device`() throws {
        let columns = "SELECT device, pasid, iova, last, pa, protection FROM mapping"
        for (store, device) in [(Self.store, "0000:00:09.0"), (ImportedStore.path, "0000:01:00.0")] {
            let all = try Binary.run(["sql", store, columns, "--format", "csv"])
            #expect(all.status == 0 && all.lines.count > 5, "\(all.errors)")
            #expect(try all.output == Binary.run(["mappings", store, "--format", "csv"]).output)
            let one = try Binary.run(["sql", store, columns + " WHERE device = '\(device)'", "--format", "csv"])
            #expect(try one.output == Binary.run(["mappings", store, "--device", device, "--format", "csv"]).output)
        }
        let ends = try Binary.run([
            "sql", ImportedStore.path,
            "SELECT count(*) FROM mapping WHERE number(pa_last) - number(pa) + 1 <> bytes OR number(last) - number(iova) + 1 <> bytes",
            "--format", "csv",
        ])
        #expect(ends.lines == ["count(*)", "0"])
    }

    @Test func `the pages of the runs are those that tables lists`() throws {
        let listed = try Binary.run(["tables", ImportedStore.path, "--format", "csv"])
        let queried = try Binary.run([
            "sql", ImportedStore.path,
            """
            SELECT r.domain, r.address, r.level, (SELECT count(*) FROM table_word AS w WHERE w.domain = r.domain
                AND w.address = r.address AND w.level = r.level) AS entries, count(*) AS runs
            FROM table_run AS r GROUP BY r.domain, r.address, r.level ORDER BY r.domain, r.address, r.level
            """, "--format", "csv",
        ])
        #expect(queried.status == 0, "\(queried.errors)")
        #expect(queried.lines == listed.lines.map { $0.split(separator: ",").dropLast().joined(separator: ",") })
    }

    @Test(arguments: [
        ("SELECT nowhere FROM unit", "no such column: nowhere"), ("SELEC", "syntax error"), ("", "no statement"),
        ("DELETE FROM seal", "a change of seal is not allowed"), ("ATTACH 'x' AS y", "ATTACH is not allowed"),
        ("SELECT 1; SELECT 2", "more than one statement"),
    ])
    func `a wrong query is one line and exit code 64`(query: String, words: String) throws {
        let run = try Self.sql(query)
        #expect(run.status == 64 && run.output == "")
        #expect(run.errors.hasPrefix("domstore: query refused: ") && run.errors.contains(words), "\(run.errors)")
        #expect(run.errors.split(separator: "\n").count == 1)
    }

    @Test func `a limit that is reached ends the output well formed, with exit code 2`() throws {
        let endless = "WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t"
        let rows = try Self.sql(endless, "--rows", "2", "--json")
        #expect(rows.status == 2)
        #expect(rows.output == "[\n{\"n\": 1},\n{\"n\": 2}\n]\n")
        #expect(
            rows.errors
                == "domstore: \(Self.store): the query was ended at a limit: more than 2 rows; --timeout, --rows and --memory set the limits\n"
        )
        let time = try Self.sql(endless + " WHERE n < 0", "--timeout", "1", "--format", "csv")
        #expect(time.status == 2 && time.output == "n\n" && time.errors.contains("more than 1 seconds"))
        let memory = try Self.sql(
            "WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t LIMIT 3000000) SELECT n FROM t ORDER BY n DESC",
            "--memory", "16", "--format", "csv")
        #expect(
            memory.status == 2 && memory.output == "n\n" && memory.errors.contains("more than 16 MiB"),
            "\(memory.errors)")
        for wrong in [["--rows", "0"], ["--timeout", "0"], ["--memory", "1"]] {
            #expect(try Binary.run(["sql", Self.store, "SELECT 1"] + wrong).status == 64)
        }
    }

    @Test func `a damaged record is told behind the rows, with exit code 1`() throws {
        let folder = try ScratchFolder()
        var bytes = try ScratchFolder.bytes(at: Self.store)
        let place = try #require(bytes.firstRange(of: Array("e1000e".utf8))).lowerBound
        bytes[place] ^= 1
        try folder.write(bytes, to: "a.domstore")
        let run = try Binary.run([
            "sql", folder["a.domstore"], "SELECT driver FROM device WHERE rid = 80", "--format", "csv",
        ])
        #expect(run.status == 1 && run.output == "driver\nd1000e\n")
        #expect(run.errors.contains("a record is damaged (record-checksum: device"), "\(run.errors)")
    }

    @Test func `text of a file cannot reach a terminal as it is`() throws {
        let run = try Binary.runOnTerminal(
            ["sql", Self.store, "SELECT 'a' || char(27) || '[2J' AS t", "--color", "never"], columns: 80)
        #expect(run.output == "t\na\\u{1b}[2J\n")
    }

    @Test func `a table of a narrow terminal fits`() throws {
        for columns: UInt16 in [40, 80] {
            let run = try Binary.runOnTerminal(["sql", Self.store, "--color", "never"], columns: columns)
            #expect(run.status == 0)
            #expect(run.lines.allSatisfy { $0.count <= Int(columns) })
        }
    }

    @Test func `one generation of a directory is read by its number`() throws {
        let folder = try ScratchFolder()
        try folder.write(try ScratchFolder.bytes(at: Self.store), to: "1.domstore")
        let run = try Binary.run([
            "sql", folder.path, "SELECT number FROM generation", "--generation", "1", "--format", "csv",
        ])
        #expect(run.output == "number\n1\n")
        #expect(try Binary.run(["sql", folder.path, "SELECT 1", "--generation", "2"]).status == 2)
    }
}
