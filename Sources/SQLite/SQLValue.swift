/// One value of a row, copied out of a statement.
public enum SQLValue: Sendable, Hashable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])
}

/// The storage class of a value.
public enum SQLType: Sendable, Hashable {
    case null, integer, real, text, blob
}

/// One value of the current row of a statement, not copied.
public struct SQLCell {
    /// Its storage class.
    public var type: SQLType
    /// Of an integer; else 0.
    public var integer: Int64 = 0
    /// Of a text or a blob, where SQLite holds them: valid until the next step or reset. Else empty.
    public var bytes = UnsafeRawBufferPointer(start: nil, count: 0)

    /// NULL.
    public init() { type = .null }
}
