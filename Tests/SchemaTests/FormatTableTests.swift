import IOMMUModel
import SQLite
import Testing

@testable import Store

@Suite("The tables of FORMAT.md")
struct FormatTableTests {
    let document = FormatDocument.shared

    /// The range as the document writes it, from the schema's `CHECK` of one column.
    static func range(_ check: [String]?) -> String? {
        guard let check, check.count > 2 else { return "any" }
        func number(_ text: String) -> String {
            guard let value = UInt64(text), value >= 65535, (value + 1).nonzeroBitCount == 1 else { return text }
            return "2^\((value + 1).trailingZeroBitCount) - 1"
        }
        func code(_ text: String) -> String { "`\(text.trimming("'"))`" }
        switch (check[0], check[1], check.count) {
        case (_, "BETWEEN", 5): return "\(number(check[2])) to \(number(check[4]))"
        case (_, "IN", _): return check[3...].filter { $0 != "," && $0 != ")" }.map(code).joined(separator: ", ")
        case (_, ">=", 3): return "\(check[2]) to 2^63 - 1"
        case (_, "=", 3): return code(check[2])
        case (_, "=", _):
            // A chain of `column = 'value'`, joined by OR.
            let terms = check.split(separator: "OR").map(Array.init)
            guard terms.allSatisfy({ $0.count == 3 && $0[..<2] == check[..<2] }) else { return nil }
            return terms.map { code($0[2]) }.joined(separator: ", ")
        case ("length", _, 6...): return "\(check[5...].joined(separator: " ")) bytes"
        default: return nil
        }
    }

    @Test(
        "Each table has a section with its number, its columns, types, ranges and key", arguments: RecordTable.allCases)
    func columns(_ table: RecordTable) throws {
        let connection = try SchemaShape.migrated()
        let sql = try #require(try KnownSchema.objects(of: connection).first { $0.name == table.name }?.sql)
        let checks = Dictionary(
            SQLText.definitions(ofTable: sql).map { ($0[0], SQLText.check(in: $0)) }, uniquingKeysWith: { a, _ in a })
        var references: [String: String] = [:]
        let keys = try connection.prepare("SELECT * FROM pragma_foreign_key_list('\(table.name)')")
        while try keys.step() {
            references[keys.text(3) ?? ""] = "`\(keys.text(2) ?? "")` (`\(keys.text(4) ?? "")`)"
        }
        var expected: [[String?]] = []
        var primary: [(Int64, String)] = []
        let columns = try connection.prepare("SELECT * FROM pragma_table_xinfo('\(table.name)')")
        while try columns.step() {
            let name = columns.text(1) ?? ""
            let isKey = columns.integer(5) > 0
            if isKey { primary.append((columns.integer(5), name)) }
            let isNullable = columns.integer(3) == 0 && !isKey
            expected.append([
                "`\(name)`", (columns.text(2) ?? "") + (isNullable ? " NULL" : ""),
                references[name] ?? Self.range(checks[name] ?? nil),
            ])
        }
        let heading = "### Table \(table.rawValue): `\(table.name)`"
        let found = document.table(in: heading, first: "column")
        #expect(found.map { $0.prefix(3).map(Optional.some) } == expected.map { Array($0) })
        #expect(found.allSatisfy { $0.count == 4 && !$0[3].isEmpty })
        let names = primary.sorted { $0.0 < $1.0 }.map(\.1).joined(separator: ", ")
        let isBare = SQLText.tokens(sql).suffix(2) == ["WITHOUT", "ROWID"]
        #expect(document.section(heading).contains("Key: `(\(names))`\(isBare ? ", without rowid" : "")."))
        for definition in SQLText.definitions(ofTable: sql) where definition[0] == "CHECK" {
            let text = SQLText.check(in: definition)?.joined(separator: " ") ?? ""
            guard table != .domainUnit else { continue }
            let section = SQLText.tokens(document.section(heading).joined(separator: " ")).joined(separator: " ")
            #expect(section.contains(text), "\(table.name): \(text)")
        }
    }

    @Test("Each view is listed with its columns, in the order of the schema")
    func views() throws {
        let connection = try SchemaShape.migrated()
        var expected: [[String]] = []
        for object in try KnownSchema.objects(of: connection) where object.type == "view" {
            let statement = try connection.prepare("SELECT * FROM \(object.name)")
            let columns = (0..<statement.columnCount).map { "`\(statement.columnName($0))`" }
            expected.append(["`\(object.name)`", columns.joined(separator: ", ")])
        }
        #expect(document.table(in: "## Views", first: "view").map { Array($0.prefix(2)) } == expected)
    }

    @Test("The numbers that the text states are those of the program")
    func numbers() {
        let text = document.flowed
        let errors = Errno.allCases.map { String($0.rawValue) }.sorted { Int($0) ?? 0 < Int($1) ?? 0 }
        #expect(text.contains("`errno` is one of \(errors.joined(separator: ", "));"))
        for feature in Feature.known {
            #expect(text.contains("| \(feature.bit) | `\(feature.name)` | \(feature.isRequired ? 1 : 0) |"))
        }
        #expect(
            text.contains(
                "| areas in a row | \(AreaChunk.areasPerRow) as written, \(AreaChunk.maximumAreas) to be read |"))
        #expect(text.contains("| pages in a row | \(PageChunk.pagesPerRow) |"))
        #expect(text.contains("| file | \(FileBytes.limit >> 30) GiB to be read;"))
        #expect(text.contains("\(GenerationReader.deadlineSeconds) s in all"))
    }
}
