import Foundation
import Migrations
import SQLite
import Testing

@testable import Store

@Suite("Golden stores of every version")
struct GoldenStoreTests {
    static let path = Fixture.path("store/version-1.domstore")

    /// The rows of one table as the `sqlite3` shell quotes them, sorted.
    private static func rows(of table: RecordTable, _ reader: borrowing GenerationReader) throws -> [String] {
        var rows: [String] = []
        try reader.query("SELECT \((table.columns + ["checksum"]).joined(separator: ", ")) FROM \(table.name)") {
            values in
            rows.append(values.map(Self.quoted).joined(separator: ","))
            return true
        }
        return rows.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    private static func quoted(_ value: SQLValue) -> String {
        switch value {
        case .null: "NULL"
        case .integer(let number): "\(number)"
        case .real(let number): "\(number)"
        case .text(let text): "'\(text.replacing("'", with: "''"))'"
        case .blob(let bytes):
            "X'" + bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() + "'"
        }
    }

    @Test("Version 1 is read with every row that the sqlite3 shell found in it, and no table is empty")
    func rows() throws {
        let reader = try GenerationReader(path: Self.path)
        #expect(reader.defects() == [])
        #expect(reader.seal?.root.description == "7173b445e082fcfa")
        var expected: [String: [String]] = [:]
        var table = ""
        for line in try Fixture.text("store/version-1.rows.txt").split(separator: "\n") {
            if line.hasPrefix("-- ") {
                table = String(line.dropFirst(3))
            } else {
                expected[table, default: []].append(String(line))
            }
        }
        #expect(expected.count == RecordTable.allCases.count)
        for table in RecordTable.allCases {
            let stated = try #require(expected[table.name], "\(table.name)")
            #expect(!stated.isEmpty)
            #expect(try Self.rows(of: table, reader) == stated, "\(table.name)")
        }
    }

    @Test("Version 1 as a snapshot, written anew, is the same rows and the same root")
    func again() throws {
        let folder = try Folder()
        let reader = try GenerationReader(path: Self.path)
        var writer = try GenerationWriter(creating: folder["again"], number: 1, origin: .engine)
        let receipt = try writer.seal(reader.snapshot(), nonce: reader.seal?.nonce, events: reader.events())
        try writer.release()
        #expect(receipt == reader.seal?.receipt)
        let again = try GenerationReader(path: folder["again"])
        for table in RecordTable.allCases {
            #expect(try Self.rows(of: table, again) == Self.rows(of: table, reader), "\(table.name)")
        }
    }

    @Test("There is a golden store of every version")
    func versions() {
        for version in 1...Migrations.current {
            #expect(FileManager.default.fileExists(atPath: Fixture.path("store/version-\(version).domstore")))
        }
    }
}
