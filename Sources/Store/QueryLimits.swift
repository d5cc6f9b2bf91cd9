/// How much one query may take. What is reached ends it with ``StoreError/queryLimit(what:)``.
public struct QueryLimits: Sendable, Hashable {
    /// Of the clock on the wall.
    public var seconds: UInt64
    /// Memory beyond what is in use when it begins: sorting, grouping, temporary tables.
    public var bytes: Int64
    /// Rows of the answer.
    public var rows: Int

    /// All as given; nothing is checked.
    public init(seconds: UInt64 = 60, bytes: Int64 = 1 << 30, rows: Int = 1_000_000) {
        self.seconds = seconds
        self.bytes = bytes
        self.rows = rows
    }
}
