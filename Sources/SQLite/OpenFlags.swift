import CSQLite

/// How a database is opened (`sqlite3_open_v2`).
public struct OpenFlags: OptionSet, Sendable {
    /// SQLite's own `SQLITE_OPEN_` bits.
    public let rawValue: Int32
    /// Any of SQLite's bits.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// No writes; the file must exist.
    public static let readOnly = OpenFlags(rawValue: SQLITE_OPEN_READONLY)
    /// Reads and writes; the file must exist unless ``create`` is set too.
    public static let readWrite = OpenFlags(rawValue: SQLITE_OPEN_READWRITE)
    /// Makes a file that is not there; only with ``readWrite``.
    public static let create = OpenFlags(rawValue: SQLITE_OPEN_CREATE)
    /// A database that lives in memory only.
    public static let memory = OpenFlags(rawValue: SQLITE_OPEN_MEMORY)
    /// Refuses a path with a symbolic link anywhere in it.
    public static let noFollow = OpenFlags(rawValue: SQLITE_OPEN_NOFOLLOW)
    /// No mutex: the connection is used by one thread at a time, which `~Copyable` ownership ensures.
    public static let noMutex = OpenFlags(rawValue: SQLITE_OPEN_NOMUTEX)
}
