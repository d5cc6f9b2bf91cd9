import CSQLite

extension Statement {
    /// Number of columns of the result.
    public var columnCount: Int { Int(sqlite3_column_count(handle)) }

    /// The name of column `index`.
    public borrowing func columnName(_ index: Int) -> String {
        sqlite3_column_name(handle, Int32(truncatingIfNeeded: index)).map { String(cString: $0) } ?? ""
    }

    /// The storage class of column `index` of the current row. Ask before any read of the column.
    public borrowing func type(_ index: Int) -> SQLType {
        switch sqlite3_column_type(handle, Int32(truncatingIfNeeded: index)) {
        case SQLITE_INTEGER: .integer
        case SQLITE_FLOAT: .real
        case SQLITE_TEXT: .text
        case SQLITE_BLOB: .blob
        default: .null
        }
    }

    /// Column `index` as an integer (SQLite converts other classes).
    public borrowing func integer(_ index: Int) -> Int64 {
        sqlite3_column_int64(handle, Int32(truncatingIfNeeded: index))
    }

    /// The bytes of a BLOB or TEXT column where SQLite holds them: valid until the next step or reset. Empty for a zero
    /// length, NULL, or when SQLite ran out of memory.
    public borrowing func bytes(_ index: Int) -> UnsafeRawBufferPointer {
        let index = Int32(truncatingIfNeeded: index)
        guard let base = sqlite3_column_blob(handle, index) else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: base, count: Int(sqlite3_column_bytes(handle, index)))
    }

    /// A TEXT column; `nil` when it is no TEXT or not valid UTF-8.
    public borrowing func text(_ index: Int) -> String? {
        guard type(index) == .text else { return nil }
        return String(validating: bytes(index), as: UTF8.self)
    }

    /// The first columns of the current row, each asked of SQLite once: as many as there are `cells`, and at most
    /// ``columnCount``.
    public borrowing func read(into cells: UnsafeMutableBufferPointer<SQLCell>) {
        for index in cells.indices {
            // No lock is taken for each answer about a value: a statement is used by one thread at a time.
            let value = sqlite3_column_value(handle, Int32(truncatingIfNeeded: index))
            switch sqlite3_value_type(value) {
            case SQLITE_INTEGER: cells[index] = SQLCell(integer: sqlite3_value_int64(value))
            case SQLITE_BLOB: cells[index] = SQLCell(.blob, value)
            case SQLITE_TEXT: cells[index] = SQLCell(.text, value)
            case SQLITE_FLOAT: cells[index] = SQLCell(.real)
            default: cells[index] = SQLCell(.null)
            }
        }
    }

    /// A copy of the value of column `index`; invalid UTF-8 in a TEXT is repaired.
    public borrowing func value(_ index: Int) -> SQLValue {
        switch type(index) {
        case .null: .null
        case .integer: .integer(integer(index))
        case .real: .real(sqlite3_column_double(handle, Int32(truncatingIfNeeded: index)))
        case .text: .text(String(decoding: bytes(index), as: UTF8.self))
        case .blob: .blob([UInt8](bytes(index)))
        }
    }
}
