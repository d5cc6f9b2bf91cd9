import CSQLite

/// One connection to a database. Closed when the value ends.
///
/// Not shared between threads: it is `~Copyable` and not `Sendable`.
public struct Connection: ~Copyable {
    let handle: OpaquePointer
    let deadline: UnsafeMutablePointer<Deadline>

    /// Opens `path`. `vfs` names the file system layer, `nil` for SQLite's default one.
    ///
    /// A closed connection can outlive this value only while a ``Statement`` of it does.
    public init(path: String, flags: OpenFlags, vfs: String? = nil) throws(SQLiteError) {
        var opened: OpaquePointer?
        let code = sqlite3_open_v2(path, &opened, flags.rawValue, vfs)
        guard code == SQLITE_OK, let opened else {
            let error = SQLiteError(code: code == SQLITE_OK ? SQLITE_NOMEM : code, connection: opened)
            sqlite3_close_v2(opened)
            throw error
        }
        sqlite3_extended_result_codes(opened, 1)
        handle = opened
        deadline = .allocate(capacity: 1)
        deadline.initialize(to: Deadline())
    }

    deinit {
        sqlite3_progress_handler(handle, 0, nil, nil)
        sqlite3_close_v2(handle)
        deadline.deallocate()
    }

    /// Runs every statement of `sql` and drops their rows.
    public borrowing func execute(_ sql: String) throws(SQLiteError) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw SQLiteError(code: code, connection: handle) }
    }

    /// Compiles the first statement of `sql`. `persistent`: it will be used many times.
    public borrowing func prepare(_ sql: String, persistent: Bool = false) throws(SQLiteError) -> Statement {
        try Self.prepare(sql, on: handle, flags: persistent ? UInt32(SQLITE_PREPARE_PERSISTENT) : 0)
    }

    static func prepare(_ sql: String, on handle: OpaquePointer, flags: UInt32) throws(SQLiteError) -> Statement {
        var compiled: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, flags, &compiled, nil)
        guard code == SQLITE_OK else { throw SQLiteError(code: code, connection: handle) }
        guard let compiled else { throw SQLiteError(extendedCode: SQLITE_MISUSE, message: "no statement in the text") }
        return Statement(handle: compiled)
    }

    /// True between `BEGIN` and the end of its transaction; SQLite ends one by itself after some I/O errors.
    public borrowing func isInTransaction() -> Bool { sqlite3_get_autocommit(handle) == 0 }

    /// The first column of the first row of `sql` as an integer, or `nil` without a row.
    public borrowing func integer(_ sql: String) throws(SQLiteError) -> Int64? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.integer(0) : nil
    }

    /// The first column of the first row of `sql` as text, or `nil` without a row or without text.
    public borrowing func text(_ sql: String) throws(SQLiteError) -> String? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.text(0) : nil
    }
}
