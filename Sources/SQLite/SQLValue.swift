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
