import Digest
import IOMMUModel
import SQLite

/// Writes rows of one table through one statement that stays prepared, and keeps the table's manifest entry.
///
/// A row is ``begin()``, one call per column in the order of ``RecordTable/columns``, ``finish()``: each value goes to
/// SQLite and into the row's checksum in the same call. Blobs are bound where they lie.
final class TableWriter {
    let table: RecordTable
    /// With the rows of the running transaction.
    private(set) var entry = Manifest.Entry()
    /// As of the last commit.
    private var committed = Manifest.Entry()

    private let statement: Statement
    private var digest = RowDigest()
    private var index = 0
    /// Where 8-byte blobs lie until the row is written: one word per parameter.
    private let words: UnsafeMutablePointer<UInt64>

    init(_ table: RecordTable, _ connection: borrowing Connection) throws(StoreError) {
        self.table = table
        do { statement = try connection.prepare(table.insertSQL, persistent: true) } catch { throw StoreError(error) }
        words = .allocate(capacity: table.columns.count + 2)
        words.initialize(repeating: 0, count: table.columns.count + 2)
    }

    deinit { words.deallocate() }

    func begin() {
        index = 0
        digest.begin(table: table.rawValue)
    }

    func null() throws(StoreError) {
        index += 1
        digest.appendNull()
        do { try statement.bindNull(index) } catch { throw StoreError(error) }
    }

    func integer(_ value: Int64) throws(StoreError) {
        index += 1
        digest.append(integer: value)
        do { try statement.bind(index, integer: value) } catch { throw StoreError(error) }
    }

    func integer(_ value: some FixedWidthInteger) throws(StoreError) {
        guard let signed = Int64(exactly: value) else { throw unrepresentable("\(value) needs more than 63 bits") }
        try integer(signed)
    }

    func integer(_ value: (some FixedWidthInteger)?) throws(StoreError) {
        if let value { try integer(value) } else { try null() }
    }

    func flag(_ value: Bool) throws(StoreError) { try integer(value ? 1 as Int64 : 0) }

    func text(_ value: String) throws(StoreError) {
        index += 1
        var value = value
        value.withUTF8 { digest.append(text: UnsafeRawBufferPointer($0)) }
        do { try statement.bind(index, text: value) } catch { throw StoreError(error) }
    }

    /// The number of the 4 KiB page that begins at `address`.
    func page<Space>(_ address: Address<Space>) throws(StoreError) {
        guard address.pageOffset == 0 else { throw unrepresentable("\(address) is no page boundary") }
        try integer(Int64(address.page))
    }

    /// The number of the 4 KiB page that ends at `address`.
    func lastPage<Space>(_ address: Address<Space>) throws(StoreError) {
        guard address.pageOffset == 0xfff else { throw unrepresentable("\(address) is not the end of a page") }
        try integer(Int64(address.page))
    }

    /// 8 bytes, big-endian.
    func word(_ value: UInt64) throws(StoreError) {
        words[index] = value.bigEndian
        try blob(UnsafeRawBufferPointer(start: words + index, count: 8))
    }

    func word(_ value: UInt64?) throws(StoreError) {
        if let value { try word(value) } else { try null() }
    }

    /// `bytes` stay where they are and unchanged until ``finish()``.
    func blob(_ bytes: UnsafeRawBufferPointer) throws(StoreError) {
        index += 1
        digest.append(blob: bytes)
        do { try statement.bind(index, staticBlob: bytes) } catch { throw StoreError(error) }
    }

    /// A small blob that SQLite takes a copy of.
    func copy(_ bytes: [UInt8]) throws(StoreError) {
        index += 1
        bytes.withUnsafeBytes { digest.append(blob: $0) }
        do { try statement.bind(index, .blob(bytes)) } catch { throw StoreError(error) }
    }

    /// Binds the checksum and runs the statement.
    func finish() throws(StoreError) {
        precondition(index == table.columns.count, "a row has a value for each column")
        let checksum = digest.finish()
        words[index] = checksum.bigEndian
        do {
            try statement.bind(index + 1, staticBlob: UnsafeRawBufferPointer(start: words + index, count: 8))
            try statement.run()
        } catch { throw StoreError(error) }
        entry.add(checksum)
    }

    /// The transaction holds: its rows count.
    func commit() { committed = entry }

    /// The transaction does not hold: its rows do not count.
    func rollBack() { entry = committed }

    /// Takes over what an earlier connection has counted.
    func resume(from entry: Manifest.Entry) {
        self.entry = entry
        committed = entry
    }

    func unrepresentable(_ what: String) -> StoreError {
        let column = index < table.columns.count ? table.columns[index] : "row"
        return .unrepresentable(table: table.name, key: "row \(entry.rowCount + 1)", what: "\(column): \(what)")
    }
}
