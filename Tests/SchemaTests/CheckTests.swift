import IOMMUModel
import SQLite
import Snapshot
import Testing

@testable import Store

/// What the schema's checks refuse, and what the reader says of a file that holds it all the same.
@Suite("Parents, cache keys and geometries of a damaged file")
struct CheckTests {
    /// A row of the document's generation with some values changed.
    struct Change: Sendable, CustomTestStringConvertible {
        var table: RecordTable
        /// Which of the table's example rows.
        var row: Int
        var values: [String: SQLValue]
        /// The column that the reader names.
        var column: String

        init(_ table: RecordTable, _ row: Int, _ values: [String: SQLValue], _ column: String) {
            (self.table, self.row, self.values, self.column) = (table, row, values, column)
        }

        var testDescription: String { "\(table.name) \(values)" }
    }

    static let refused: [Change] = [
        Change(.domain, 2, ["parent": .null], "parent"),
        Change(.domain, 0, ["parent": .integer(6)], "parent"),
        Change(.domain, 2, ["kind": .text("identity")], "parent"),
        Change(.domain, 0, ["kind": .text("second-stage")], "kind"),
        Change(.domainUnit, 0, ["format": .text("x86-32")], "format"),
        Change(.domainUnit, 0, ["format": .null], "hardware_updated_mask"),
        Change(.domainUnit, 0, ["hardware_updated_mask": .null], "hardware_updated_mask"),
        Change(.domainUnit, 1, ["sign_extended": .integer(0)], "hardware_updated_mask"),
        Change(.domainUnit, 0, ["sign_extended": .integer(2)], "sign_extended"),
        Change(.domainUnit, 0, ["address_bits": .integer(65)], "address_bits"),
        Change(.domainUnit, 0, ["hardware_updated_mask": .blob([3])], "hardware_updated_mask"),
        Change(.attachment, 0, ["cache_tag": .integer(1 << 32)], "cache_tag"),
        Change(.attachment, 0, ["cache_tag": .integer(-1)], "cache_tag"),
        Change(.attachment, 1, ["cache_pasid": .integer(1 << 20)], "cache_pasid"),
        Change(.attachment, 1, ["cache_tag": .null], "cache_pasid"),
        Change(.attachment, 1, ["pasid": .integer(1 << 20)], "pasid"),
        Change(.unit, 0, ["encryption_bit": .integer(11)], "encryption_bit"),
        Change(.unit, 0, ["encryption_bit": .integer(52)], "encryption_bit"),
        Change(.unit, 0, ["accessed_dirty": .integer(2)], "accessed_dirty"),
        Change(.unit, 0, ["accessed_dirty": .null], "accessed_dirty"),
    ]

    static let taken: [Change] = [
        Change(.domainUnit, 0, ["format": .text("amd-v1"), "address_bits": .integer(64)], ""),
        Change(.domainUnit, 2, ["sign_extended": .integer(0)], ""),
        Change(.attachment, 0, ["cache_tag": .integer(1 << 32 - 1), "cache_pasid": .integer(1 << 20 - 1)], ""),
        Change(.attachment, 1, ["pasid": .integer(1 << 20 - 1), "cache_pasid": .integer(0)], ""),
        Change(.unit, 0, ["encryption_bit": .integer(12), "accessed_dirty": .integer(0)], ""),
        Change(.unit, 0, ["encryption_bit": .integer(51)], ""),
    ]

    /// The rows of the document without manifest and seal, `change` made in them, their checksums right.
    private static func write(_ change: Change, to connection: borrowing Connection) throws {
        try connection.execute("PRAGMA foreign_keys = ON; BEGIN")
        for table in RecordTable.manifested {
            for (number, example) in FormatDocument.shared.rows(table.name).enumerated() {
                var values = try example.rowValues()
                if table == change.table, number == change.row {
                    for (name, value) in change.values {
                        values[try #require(table.columns.firstIndex(of: name))] = value
                    }
                    values[values.count - 1] = .blob(ExampleRows.encoded(values.dropLast(), in: table).checksum)
                }
                try ExampleRows.insert(values, into: table, connection)
            }
        }
        try connection.execute("COMMIT")
    }

    @Test("The schema refuses it", arguments: refused)
    func schema(change: Change) throws {
        #expect(throws: SQLiteError.self) { try Self.write(change, to: SchemaShape.migrated()) }
    }

    @Test("The reader tells it of a file that was written without the checks", arguments: refused)
    func reader(change: Change) throws {
        let folder = ScratchFolder()
        let path = folder["a"]
        do {
            let connection = try SchemaShape.migrated(path: path)
            try connection.execute("PRAGMA ignore_check_constraints = ON")
            do {
                try Self.write(change, to: connection)
            } catch let error as SQLiteError where error.message.contains("NOT NULL") {
                // No pragma makes SQLite forget a NOT NULL.
                return
            }
        }
        let defects = try GenerationReader(path: path).defects()
        #expect(defects.map(\.rule) == [.recordMalformed], "\(defects)")
        #expect(defects.first?.table == change.table.name)
        #expect(defects.first?.message.hasPrefix("\(change.column) ") == true, "\(defects)")
    }

    @Test("What is just inside the limits is taken", arguments: taken)
    func limits(change: Change) throws {
        let folder = ScratchFolder()
        let path = folder["a"]
        try Self.write(change, to: SchemaShape.migrated(path: path))
        let reader = try GenerationReader(path: path)
        #expect(reader.defects() == [])
        _ = try reader.snapshot()
    }

    @Test("A parent that is not there is a reference that does not resolve, and the record is read")
    func parent() throws {
        let change = Change(.domain, 2, ["parent": .integer(99)], "")
        #expect(throws: SQLiteError.self) { try Self.write(change, to: SchemaShape.migrated()) }
        let folder = ScratchFolder()
        let path = folder["a"]
        do {
            let connection = try SchemaShape.migrated(path: path)
            try Self.write(Change(.domain, 0, [:], ""), to: connection)
            try connection.execute("PRAGMA foreign_keys = OFF")
            let values = try FormatDocument.shared.rows("domain")[2].rowValues()
            var broken = values
            broken[3] = .integer(99)
            broken[values.count - 1] = .blob(ExampleRows.encoded(broken.dropLast(), in: .domain).checksum)
            try connection.execute("DELETE FROM domain WHERE id = 7")
            try ExampleRows.insert(broken, into: .domain, connection)
        }
        let reader = try GenerationReader(path: path)
        let (snapshot, defects) = reader.snapshotAndDefects()
        #expect(defects.map(\.rule) == [.referenceUnresolved])
        #expect(defects.first?.table == "domain")
        #expect(snapshot?.domains.last?.parent == DomainID(99))
    }
}
