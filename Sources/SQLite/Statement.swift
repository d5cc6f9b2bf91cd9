import CSQLite

/// A compiled statement. Finalized when the value ends; parameters count from 1, columns from 0.
public struct Statement: ~Copyable {
    let handle: OpaquePointer

    init(handle: OpaquePointer) { self.handle = handle }

    deinit { sqlite3_finalize(handle) }

    private var connection: OpaquePointer? { sqlite3_db_handle(handle) }

    private func check(_ code: Int32) throws(SQLiteError) {
        guard code == SQLITE_OK else { throw SQLiteError(code: code, connection: connection) }
    }

    /// Goes on to the next row: true when there is one, false at the end.
    public borrowing func step() throws(SQLiteError) -> Bool {
        let code = sqlite3_step(handle)
        if code == SQLITE_ROW { return true }
        if code == SQLITE_DONE { return false }
        throw SQLiteError(code: code, connection: connection)
    }

    /// Runs a statement without rows to its end and makes it ready for the next run.
    public borrowing func run() throws(SQLiteError) {
        let code = sqlite3_step(handle)
        guard code == SQLITE_DONE || code == SQLITE_ROW else {
            let error = SQLiteError(code: code, connection: connection)
            sqlite3_reset(handle)
            throw error
        }
        sqlite3_reset(handle)
    }

    /// Makes the statement ready for the next run; parameters keep their values.
    public borrowing func reset() { sqlite3_reset(handle) }

    /// Number of parameters.
    public var parameterCount: Int { Int(sqlite3_bind_parameter_count(handle)) }

    /// Binds NULL.
    public borrowing func bindNull(_ index: Int) throws(SQLiteError) {
        try check(sqlite3_bind_null(handle, Int32(truncatingIfNeeded: index)))
    }

    /// Binds an INTEGER.
    public borrowing func bind(_ index: Int, integer: Int64) throws(SQLiteError) {
        try check(sqlite3_bind_int64(handle, Int32(truncatingIfNeeded: index), integer))
    }

    /// Binds a copy of `text`.
    public borrowing func bind(_ index: Int, text: String) throws(SQLiteError) {
        var text = text
        let handle = handle
        let code = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                sqlite3_bind_text(
                    handle, Int32(truncatingIfNeeded: index), $0.baseAddress ?? Self.emptyText, Int32($0.count),
                    Self.transient)
            }
        }
        try check(code)
    }

    /// Binds `bytes` where they lie: the caller keeps them unchanged until the next bind of this parameter, or until the
    /// statement ends.
    public borrowing func bind(_ index: Int, staticBlob bytes: UnsafeRawBufferPointer) throws(SQLiteError) {
        let index = Int32(truncatingIfNeeded: index)
        guard let base = bytes.baseAddress, bytes.count > 0 else {
            try check(sqlite3_bind_zeroblob(handle, index, 0))
            return
        }
        try check(sqlite3_bind_blob64(handle, index, base, UInt64(bytes.count), nil))
    }

    /// Binds a copy of `bytes`.
    public borrowing func bind(_ index: Int, blob bytes: UnsafeRawBufferPointer) throws(SQLiteError) {
        let index = Int32(truncatingIfNeeded: index)
        guard let base = bytes.baseAddress, bytes.count > 0 else {
            try check(sqlite3_bind_zeroblob(handle, index, 0))
            return
        }
        try check(sqlite3_bind_blob64(handle, index, base, UInt64(bytes.count), Self.transient))
    }

    /// Binds a copy of any value.
    public borrowing func bind(_ index: Int, _ value: SQLValue) throws(SQLiteError) {
        switch value {
        case .null: try bindNull(index)
        case .integer(let integer): try bind(index, integer: integer)
        case .real(let real): try check(sqlite3_bind_double(handle, Int32(truncatingIfNeeded: index), real))
        case .text(let text): try bind(index, text: text)
        case .blob(let bytes):
            let handle = handle
            let code = bytes.withUnsafeBytes {
                $0.isEmpty
                    ? sqlite3_bind_zeroblob(handle, Int32(truncatingIfNeeded: index), 0)
                    : sqlite3_bind_blob64(
                        handle, Int32(truncatingIfNeeded: index), $0.baseAddress, UInt64($0.count), Self.transient)
            }
            try check(code)
        }
    }

    private static var transient: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }
    /// One zero byte: an empty string must not be bound as a null pointer, which would be NULL.
    private static var emptyText: UnsafePointer<CChar> { sqlite3_errstr(0) }
}
