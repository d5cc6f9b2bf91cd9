import Digest
import IOMMUModel
import SQLite
import Snapshot

@testable import Store

extension Example {
    /// The table of a row example.
    func recordTable() throws(Mismatch) -> RecordTable {
        guard let found = RecordTable.allCases.first(where: { $0.name == table }) else {
            throw Mismatch("there is no table \(table ?? "")")
        }
        return found
    }

    /// The row's values, the checksum last.
    func rowValues() throws(Mismatch) -> [SQLValue] {
        try expectNames(try recordTable().columns + ["checksum"])
        var values: [SQLValue] = []
        for field in fields { values.append(try value(field.name)) }
        return values
    }

    func verifyRow() throws {
        let table = try recordTable()
        let values = try rowValues()

        // The encoding and the checksum, from the values alone.
        let (encoding, checksum) = ExampleRows.encoded(values.dropLast(), in: table)
        try expectBytes(encoding)
        try expect(values.last, .blob(checksum), "checksum")

        // Through the schema and the decoder into a record, and through the encoder back.
        let database = try SchemaShape.migrated()
        try ExampleRows.insert(values, into: table, database)
        let other = try SchemaShape.migrated()
        let reader = try RowReader(table, database)
        guard try reader.next(), reader.computedChecksum() == reader.storedChecksum() else {
            throw Mismatch("the row does not read back")
        }
        do {
            try ExampleRows.copy(reader, to: TableWriter(table, other))
        } catch let defect as RowDefect {
            throw Mismatch("\(defect.column) \(defect.what)")
        }
        try expect(try ExampleRows.all(of: table, other), [values], "row, decoded and encoded again")
    }
}

/// Rows of example databases.
enum ExampleRows {
    /// The values of a row but its checksum, as encoded, and their checksum. There are no real numbers in a row: one
    /// counts as NULL.
    static func encoded(
        _ values: some Sequence<SQLValue>, in table: RecordTable
    ) -> (encoding: [UInt8], checksum: [UInt8]) {
        var digest = RowDigest()
        digest.begin(table: table.rawValue)
        for value in values {
            switch value {
            case .null, .real: digest.appendNull()
            case .integer(let integer): digest.append(integer: integer)
            case .text(let text): Array(text.utf8).withUnsafeBytes { digest.append(text: $0) }
            case .blob(let bytes): bytes.withUnsafeBytes { digest.append(blob: $0) }
            }
        }
        let encoding = Array(digest.encoding)
        return (encoding, withUnsafeBytes(of: digest.finish().bigEndian) { Array($0) })
    }

    static func insert(
        _ values: [SQLValue], into table: RecordTable, _ connection: borrowing Connection
    ) throws {
        let statement = try connection.prepare(table.insertSQL())
        for (index, value) in values.enumerated() { try statement.bind(index + 1, value) }
        try statement.run()
    }

    /// Every row with all its columns, in the order of the key.
    static func all(of table: RecordTable, _ connection: borrowing Connection) throws -> [[SQLValue]] {
        let statement = try connection.prepare(table.selectSQL)
        var rows: [[SQLValue]] = []
        while try statement.step() { rows.append((0..<statement.columnCount).map { statement.value($0) }) }
        return rows
    }

    /// Decodes the current row as the record it is, and encodes the record.
    static func copy(_ row: RowReader, to writer: TableWriter) throws {
        func record<R: StoredRecord>(_: R.Type) throws { try writer.write([try R(from: row)]) }
        switch row.table {
        case .generation: try record(GenerationRow.self)
        case .feature: try record(FeatureRow.self)
        case .unit: try record(UnitRecord.self)
        case .unitRegister: try record(UnitRegisterRow.self)
        case .memoryRange: try record(MemoryRangeRecord.self)
        case .group: try record(GroupRecord.self)
        case .device: try record(DeviceRecord.self)
        case .reservedRegion: try record(ReservedRegionRecord.self)
        case .backing: try record(BackingRecord.self)
        case .session: try record(SessionRecord.self)
        case .ioas: try record(IOASRecord.self)
        case .domain: try record(DomainRecord.self)
        case .domainUnit: try record(DomainUnitRecord.self)
        case .hwpt: try record(HWPTRecord.self)
        case .attachment: try record(AttachmentRecord.self)
        case .engineState: try record(EngineStateRecord.self)
        case .event: try record(Event.self)
        case .manifest: try record(ManifestRow.self)
        case .seal: try record(SealRow.self)
        case .areaChunk: try copyAreas(row, to: writer)
        case .lookupChunk, .tableChunk: try copyPages(row, to: writer)
        }
    }

    private static func copyAreas(_ row: RowReader, to writer: TableWriter) throws {
        let room = UnsafeMutableBufferPointer<AreaRecord>.allocate(capacity: AreaChunk.maximumAreas)
        defer { room.deallocate() }
        var sink = AreaSink(room)
        var damage: [String] = []
        try AreaChunk.read(from: row, into: &sink) { damage.append($0) }
        guard damage.isEmpty else { throw Mismatch(damage.joined(separator: "; ")) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: AreaChunk.areasPerRow * AreaChunk.recordBytes, alignment: 8)
        defer { buffer.deallocate() }
        try AreaChunk.write(UnsafeBufferPointer(rebasing: room[..<sink.count]), to: writer, buffer: buffer)
    }

    private static func copyPages(_ row: RowReader, to writer: TableWriter) throws {
        var builder = PageSetBuilder()
        var damage: [String] = []
        let owner = try PageChunk.readOwner(from: row)
        try PageChunk.readPages(from: row, into: &builder) { damage.append($0) }
        guard damage.isEmpty else { throw Mismatch(damage.joined(separator: "; ")) }
        let pages = builder.finish()
        // From the words, so that the runs are encoded anew.
        var again = PageSet()
        var words = [UInt64](repeating: 0, count: PageRuns.wordCount)
        for (index, entry) in pages.entries.enumerated() {
            pages.decode(index, into: &words)
            again.append(address: entry.address, level: entry.level, words: words)
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: PageChunk.pagesPerRow * PageChunk.directoryBytes, alignment: 8)
        defer { buffer.deallocate() }
        try PageChunk.write(again, owner: owner, to: writer, buffer: buffer)
    }
}
