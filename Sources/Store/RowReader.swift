import Digest
import IOMMUModel
import SQLite

/// Why a row cannot be decoded.
struct RowDefect: Error {
    var column: String
    var what: String
}

/// Reads rows of one table, column by column in the order of ``RecordTable/columns``. Trusts nothing: every value is
/// checked for its class and range.
///
/// One caller reads one row at a time: exclusive access holds, and checking it for each value costs as much as the value.
final class RowReader {
    let table: RecordTable
    private let statement: Statement
    @exclusivity(unchecked) private var digest = RowDigest()
    @exclusivity(unchecked) private var index = 0
    /// The values of the current row, each asked of SQLite once.
    private let cells: UnsafeMutableBufferPointer<SQLCell>
    @exclusivity(unchecked) private var previousKey: [SQLValue] = []
    /// The key before, where it was integers.
    private let previousIntegers: UnsafeMutableBufferPointer<Int64>
    /// There was such a key.
    @exclusivity(unchecked) private var hasIntegers = false

    init(_ table: RecordTable, _ connection: borrowing Connection) throws(SQLiteError) {
        self.table = table
        statement = try connection.prepare(table.selectSQL)
        cells = .allocate(capacity: table.columns.count + 1)
        cells.initialize(repeating: SQLCell())
        previousIntegers = .allocate(capacity: table.primaryKeyColumnCount)
        previousIntegers.initialize(repeating: 0)
    }

    deinit {
        cells.deallocate()
        previousIntegers.deallocate()
    }

    /// Goes to the next row; false at the end.
    func next() throws(SQLiteError) -> Bool {
        index = 0
        guard try statement.step() else { return false }
        statement.read(into: cells)
        return true
    }

    /// The checksum that the row's values have.
    func computedChecksum() -> UInt64 {
        digest.begin(table: table.rawValue)
        for column in 0..<cells.count - 1 {
            switch cells[column].type {
            case .integer: digest.append(integer: cells[column].integer)
            case .text: digest.append(text: cells[column].bytes)
            case .blob: digest.append(blob: cells[column].bytes)
            // STRICT tables hold no real numbers; one that does is malformed and fails its decoding.
            case .null, .real: digest.appendNull()
            }
        }
        return digest.finish()
    }

    /// The checksum that the row claims; `nil` when it is not 8 bytes.
    func storedChecksum() -> UInt64? {
        let cell = cells[cells.count - 1]
        guard cell.type == .blob else { return nil }
        let bytes = cell.bytes
        guard bytes.count == 8 else { return nil }
        return UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
    }

    /// True when the row's primary key is above the one before. A b-tree that says otherwise is bent.
    func isAscending() -> Bool {
        for column in previousIntegers.indices where cells[column].type != .integer { return isAscendingOfAnyClass() }
        var order = hasIntegers ? 0 : 1
        for column in previousIntegers.indices {
            let (old, new) = (previousIntegers[column], cells[column].integer)
            if order == 0, old != new { order = old < new ? 1 : -1 }
            previousIntegers[column] = new
        }
        hasIntegers = true
        if previousKey.isEmpty { return order > 0 }
        // After a key of another class, which is malformed in a table of integers.
        previousKey = []
        return false
    }

    private func isAscendingOfAnyClass() -> Bool {
        let key = (0..<table.primaryKeyColumnCount).map { statement.value($0) }
        defer { previousKey = key }
        guard !hasIntegers else { return false }
        for (old, new) in zip(previousKey, key) where old != new { return RowReader.precedes(old, new) }
        return previousKey.isEmpty
    }

    /// The key columns as `name=value` pairs.
    func key() -> String {
        (0..<table.keyColumnCount).map { "\(table.columns[$0])=\(RowReader.text(statement.value($0)))" }
            .joined(separator: " ")
    }

    /// The owner of a chunk; `nil` of other tables, and where there is no number that can be one.
    func owner() -> UInt32? {
        guard [.areaChunk, .lookupChunk, .tableChunk].contains(table), cells[1].type == .integer else { return nil }
        return UInt32(exactly: cells[1].integer)
    }

    /// The checksum of the first `columns` values of a row in the table of a number.
    static func checksum(
        of statement: borrowing Statement, table: UInt32, columns: Int, digest: inout RowDigest
    ) -> UInt64 {
        digest.begin(table: table)
        for column in 0..<columns {
            switch statement.type(column) {
            case .integer: digest.append(integer: statement.integer(column))
            case .text: digest.append(text: statement.bytes(column))
            case .blob: digest.append(blob: statement.bytes(column))
            // STRICT tables hold no real numbers; one that does is malformed and fails its decoding.
            case .null, .real: digest.appendNull()
            }
        }
        return digest.finish()
    }

    private static func text(_ value: SQLValue) -> String {
        switch value {
        case .null: "NULL"
        case .integer(let integer): String(integer)
        case .real(let real): String(real)
        case .text(let text): text.count <= 64 ? text : "\(text.prefix(64))…"
        case .blob(let bytes): "0x" + bytes.prefix(16).map { hex(UInt64($0), digits: 2).dropFirst(2) }.joined()
        }
    }

    private static func precedes(_ a: SQLValue, _ b: SQLValue) -> Bool {
        switch (a, b) {
        case (.integer(let a), .integer(let b)): a < b
        case (.text(let a), .text(let b)): a.utf8.lexicographicallyPrecedes(b.utf8)
        case (.blob(let a), .blob(let b)): a.lexicographicallyPrecedes(b)
        default: false
        }
    }

    private func fail(_ what: String) -> RowDefect { RowDefect(column: table.columns[index], what: what) }

    func isNull() -> Bool { cells[index].type == .null }

    func integer(_ range: ClosedRange<Int64>) throws(RowDefect) -> Int64 {
        guard cells[index].type == .integer else { throw fail("is no integer") }
        let value = cells[index].integer
        guard range.contains(value) else {
            throw fail("is \(value), expected \(range.lowerBound) to \(range.upperBound)")
        }
        index += 1
        return value
    }

    func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(RowDefect) -> T {
        let low = Int64(clamping: T.min)
        let high = Int64(clamping: T.max)
        return T(truncatingIfNeeded: try integer(max(low, 0)...high))
    }

    func optional<R>(_ read: () throws(RowDefect) -> R) throws(RowDefect) -> R? {
        if isNull() {
            index += 1
            return nil
        }
        return try read()
    }

    func flag() throws(RowDefect) -> Bool { try integer(0...1) == 1 }

    /// A page number, below 2^52, as the address of the page's first byte.
    func page<Space>(_ type: Address<Space>.Type = Address<Space>.self) throws(RowDefect) -> Address<Space> {
        Address(page: UInt64(try integer(0...(1 << 52) - 1)))
    }

    /// The page range of two columns, as addresses, the last one inclusive.
    func pageRange<Space>() throws(RowDefect) -> AddressRange<Space> {
        let first: Address<Space> = try page()
        let last: Address<Space> = try page()
        guard let range = AddressRange(first: first, last: Address(last.rawValue | 0xfff)) else {
            index -= 1
            throw fail("is below the first page")
        }
        return range
    }

    func text() throws(RowDefect) -> String {
        let bytes = cells[index].bytes
        guard cells[index].type == .text,
            let text = bytes.allSatisfy({ $0 < 0x80 })
                ? String(decoding: bytes, as: UTF8.self) : String(validating: bytes, as: UTF8.self)
        else { throw fail("is no text in UTF-8") }
        index += 1
        return text
    }

    func choice<E: RawRepresentable>(_ type: E.Type = E.self) throws(RowDefect) -> E where E.RawValue == String {
        let text = try text()
        guard let value = E(rawValue: text) else {
            index -= 1
            throw fail("is '\(text.prefix(64))', which is not one of its values")
        }
        return value
    }

    /// 8 bytes, big-endian.
    func word() throws(RowDefect) -> UInt64 {
        let bytes = try blob(8)
        return UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
    }

    /// A blob of exactly `count` bytes; valid until the next row.
    func blob(_ count: Int) throws(RowDefect) -> UnsafeRawBufferPointer {
        let bytes = try blob()
        guard bytes.count == count else {
            index -= 1
            throw fail("has \(bytes.count) bytes, expected \(count)")
        }
        return bytes
    }

    /// A blob; valid until the next row.
    func blob() throws(RowDefect) -> UnsafeRawBufferPointer {
        guard cells[index].type == .blob else { throw fail("is no blob") }
        let bytes = cells[index].bytes
        index += 1
        return bytes
    }

    /// A defect of the column read last.
    func defect(_ what: String) -> RowDefect { RowDefect(column: table.columns[max(index - 1, 0)], what: what) }
}
