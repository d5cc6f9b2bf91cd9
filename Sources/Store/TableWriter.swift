import Digest
import IOMMUModel
import SQLite

/// Writes rows of one table through statements that stay prepared, and keeps the table's manifest entry.
///
/// A row is ``begin(_:)``, one call per column in the order of ``RecordTable/columns``, ``finish()``: each value goes to
/// SQLite and into the row's checksum in the same call. Blobs are bound where they lie. To remove a row, only the columns
/// of the primary key are told.
final class TableWriter {
    /// What becomes of a row.
    enum Mode {
        /// It is new; one with its key is an error.
        case insert
        /// It takes the place of the one with its key, if there is one. Nothing is written when that is the same.
        case replace
        /// The one with its key goes, if there is one.
        case remove
    }

    let table: RecordTable
    /// With the rows of the running transaction.
    private(set) var entry = Manifest.Entry()
    /// As of the last commit.
    private var committed = Manifest.Entry()

    /// Rows written or removed in the running transaction.
    private(set) var changedRows = 0

    private let insert: Statement
    /// Inserts ``rowsAtOnce`` rows; `nil` for tables that never have so many.
    private let insertMany: Statement?
    static let rowsAtOnce = 16
    /// `nil` when rows are only added.
    private let rows: RowStatements?
    private var mode = Mode.insert
    private var digest = RowDigest()
    /// Columns of the row that have their value.
    private var index = 0
    /// The row's place among those that ``insertMany`` writes; `nil`: it is written by itself.
    private var place: Int?
    /// Parameters of the rows before it in the same statement.
    private var parametersBefore = 0
    /// Where 8-byte blobs lie until the row is written: one word per parameter.
    private let words: UnsafeMutablePointer<UInt64>

    /// `isLive`: rows can be replaced and removed, too.
    init(_ table: RecordTable, _ connection: borrowing Connection, isLive: Bool = false) throws(StoreError) {
        self.table = table
        do {
            insert = try connection.prepare(table.insertSQL(), persistent: true)
            insertMany =
                table.hasManyRows
                ? try connection.prepare(table.insertSQL(rows: Self.rowsAtOnce), persistent: true) : nil
            rows = isLive && table.isChangeable ? try RowStatements(table, connection) : nil
        } catch { throw StoreError(error) }
        let parameters = (table.columns.count + 1) * (table.hasManyRows ? Self.rowsAtOnce : 1)
        words = .allocate(capacity: parameters)
        words.initialize(repeating: 0, count: parameters)
    }

    deinit { words.deallocate() }

    /// Writes one row per record, which all have keys of their own.
    func write(_ records: [some StoredRecord], _ mode: Mode = .insert) throws(StoreError) {
        var mode = mode
        var grouped = 0
        if insertMany != nil {
            // What is not there needs no looking for.
            if mode == .replace, entry.rowCount == 0 { mode = .insert }
            if mode == .insert { grouped = records.count / Self.rowsAtOnce * Self.rowsAtOnce }
        }
        for (number, record) in records.enumerated() {
            begin(mode, at: number < grouped ? number % Self.rowsAtOnce : nil)
            try record.write(to: self)
            try finish()
        }
    }

    /// - Parameter place: the row's among the ``rowsAtOnce`` that go down together, once the last one is finished.
    func begin(_ mode: Mode = .insert, at place: Int? = nil) {
        precondition(mode == .insert || rows != nil, "rows of this table are only added")
        self.mode = mode
        self.place = place
        parametersBefore = (place ?? 0) * (table.columns.count + 1)
        index = 0
        digest.begin(table: table.rawValue)
    }

    /// Binds one value to the statements that need it.
    private func bind(_ body: (borrowing Statement, Int) throws(SQLiteError) -> Void) throws(StoreError) {
        do {
            if place != nil { return try body(insertMany!, parametersBefore + index) }
            guard mode != .insert, let rows else { return try body(insert, index) }
            if index <= table.primaryKeyColumnCount {
                try body(rows.lookup, index)
                if mode == .remove { try body(rows.remove, index) }
            }
            if mode == .replace { try body(rows.replace, index) }
        } catch { throw StoreError(error) }
    }

    func null() throws(StoreError) {
        index += 1
        digest.appendNull()
        try bind { (statement, index) throws(SQLiteError) in try statement.bindNull(index) }
    }

    func integer(_ value: Int64) throws(StoreError) {
        index += 1
        digest.append(integer: value)
        try bind { (statement, index) throws(SQLiteError) in try statement.bind(index, integer: value) }
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
        let text = value
        try bind { (statement, index) throws(SQLiteError) in try statement.bind(index, text: text) }
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
        let word = words + parametersBefore + index
        word.pointee = value.bigEndian
        try blob(UnsafeRawBufferPointer(start: word, count: 8))
    }

    func word(_ value: UInt64?) throws(StoreError) {
        if let value { try word(value) } else { try null() }
    }

    /// `bytes` stay where they are and unchanged until ``finish()``, of rows that go down together until the last one's.
    func blob(_ bytes: UnsafeRawBufferPointer) throws(StoreError) {
        index += 1
        digest.append(blob: bytes)
        try bind { (statement, index) throws(SQLiteError) in try statement.bind(index, staticBlob: bytes) }
    }

    /// A small blob that SQLite takes a copy of.
    func copy(_ bytes: [UInt8]) throws(StoreError) {
        index += 1
        bytes.withUnsafeBytes { digest.append(blob: $0) }
        try bind { (statement, index) throws(SQLiteError) in try statement.bind(index, .blob(bytes)) }
    }

    /// Binds the checksum and runs the statement.
    func finish() throws(StoreError) {
        if mode == .remove { return try finishRemoval() }
        precondition(index == table.columns.count, "a row has a value for each column")
        let checksum = digest.finish()
        let word = words + parametersBefore + index
        word.pointee = checksum.bigEndian
        let bytes = UnsafeRawBufferPointer(start: word, count: 8)
        do {
            if let place {
                try insertMany!.bind(parametersBefore + index + 1, staticBlob: bytes)
                if place == Self.rowsAtOnce - 1 { try insertMany!.run() }
                entry.add(checksum)
                changedRows += 1
                return
            }
            guard mode == .replace, let rows else {
                try insert.bind(index + 1, staticBlob: bytes)
                try insert.run()
                entry.add(checksum)
                changedRows += 1
                return
            }
            let former = try rows.checksum()
            guard former != checksum else { return }
            try rows.replace.bind(index + 1, staticBlob: bytes)
            try rows.replace.run()
            if let former { entry.replace(former, by: checksum) } else { entry.add(checksum) }
            changedRows += 1
        } catch { throw StoreError(error) }
    }

    private func finishRemoval() throws(StoreError) {
        precondition(index == table.primaryKeyColumnCount, "a row is removed by its primary key")
        do {
            guard let rows, let former = try rows.checksum() else { return }
            try rows.remove.run()
            entry.remove(former)
            changedRows += 1
        } catch { throw StoreError(error) }
    }

    /// The transaction holds: its rows count.
    func commit() {
        committed = entry
        changedRows = 0
    }

    /// The transaction does not hold: its rows do not count.
    func rollBack() {
        entry = committed
        changedRows = 0
    }

    func unrepresentable(_ what: String) -> StoreError {
        let column = index < table.columns.count ? table.columns[index] : "row"
        return .unrepresentable(table: table.name, key: "row \(entry.rowCount + 1)", what: "\(column): \(what)")
    }
}
