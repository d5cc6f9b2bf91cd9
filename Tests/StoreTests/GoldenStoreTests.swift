import Foundation
import Migrations
import SQLite
import Testing

@testable import Store

@Suite("Golden stores of every version")
struct GoldenStoreTests {
    /// That of the version that the program reads.
    static let path = path(of: Migrations.current)

    static func path(of version: UInt32) -> String { Fixture.path("store/version-\(version).domstore") }

    /// The rows of each table as the `sqlite3` shell quotes them, sorted.
    static func rows(_ path: String) throws -> [String: [String]] {
        let connection = try Connection(path: path, flags: [.readOnly])
        var rows: [String: [String]] = [:]
        for table in RecordTable.allCases {
            let statement = try connection.prepare(table.selectSQL)
            var found: [String] = []
            while try statement.step() {
                found.append(
                    (0..<statement.columnCount).map { quoted(statement.value($0)) }.joined(separator: ","))
            }
            rows[table.name] = found.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
        return rows
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

    /// The rows that the `sqlite3` shell found in the golden store of `version`.
    static func stated(_ version: UInt32) throws -> [String: [String]] {
        var rows: [String: [String]] = [:]
        var table = ""
        for line in try Fixture.text("store/version-\(version).rows.txt").split(separator: "\n") {
            if line.hasPrefix("-- ") {
                table = String(line.dropFirst(3))
            } else {
                rows[table, default: []].append(String(line))
            }
        }
        return rows
    }

    @Test(
        "A golden store is of its version, without a defect, with every row that the sqlite3 shell found in it, and no table is empty",
        arguments: 1...Migrations.current)
    func rows(version: UInt32) throws {
        let path = Self.path(of: version)
        let connection = try Connection(path: path, flags: [.readOnly])
        #expect(try connection.integer("PRAGMA user_version") == Int64(version))
        let known = Migrations.all[..<Int(version)]
        _ = try KnownSchema(of: known).check(connection)
        #expect(try VersionedStore(of: known, in: connection).defects(connection) == [])
        let stated = try Self.stated(version)
        #expect(stated.count == RecordTable.allCases.count && stated.values.allSatisfy { !$0.isEmpty })
        let found = try Self.rows(path)
        for table in RecordTable.allCases { #expect(found[table.name] == stated[table.name], "\(table.name)") }
    }

    @Test("That of the current version is read, and as a snapshot, written anew, is the same rows and the same root")
    func again() throws {
        let folder = try Folder()
        let reader = try GenerationReader(path: Self.path)
        #expect(reader.defects() == [])
        var writer = try GenerationWriter(creating: folder["again"], number: 1, origin: .engine)
        let receipt = try writer.seal(reader.snapshot(), nonce: reader.seal?.nonce, events: reader.events())
        try writer.release()
        #expect(receipt == reader.seal?.receipt)
        let (again, rows) = (try Self.rows(folder["again"]), try Self.rows(Self.path))
        for table in RecordTable.allCases { #expect(again[table.name] == rows[table.name], "\(table.name)") }
    }
}
