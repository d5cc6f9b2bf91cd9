import CSQLite

/// One value of the current row of a statement, not copied.
public struct SQLCell {
    /// Its storage class.
    public let type: SQLType
    /// Of an integer; else 0.
    public let integer: Int64
    /// Of a text or a blob, where SQLite holds them: valid until the next step or reset. Else empty.
    public let bytes: UnsafeRawBufferPointer

    /// NULL.
    public init() { self.init(.null) }

    init(_ type: SQLType) {
        self.type = type
        integer = 0
        bytes = UnsafeRawBufferPointer(start: nil, count: 0)
    }

    init(integer: Int64) {
        type = .integer
        self.integer = integer
        bytes = UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// The bytes of a text or a blob; none when SQLite ran out of memory.
    init(_ type: SQLType, _ value: OpaquePointer?) {
        self.type = type
        integer = 0
        let base = sqlite3_value_blob(value)
        bytes = UnsafeRawBufferPointer(start: base, count: base == nil ? 0 : Int(sqlite3_value_bytes(value)))
    }
}
