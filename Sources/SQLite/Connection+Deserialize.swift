import CSQLite
import Glibc

extension Connection {
    /// Bytes behind a database in memory that SQLite may look at when the last page is damaged; zeros.
    private static let margin = 64

    /// Allocates memory that ``deserialize(readOnly:count:)`` can take over, and zeros behind it; `nil` when there is none.
    /// `count` over 0.
    public static func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
        guard let memory = sqlite3_malloc64(UInt64(count + margin)) else { return nil }
        memset(memory + count, 0, margin)
        return memory
    }

    /// Frees what ``allocate(_:)`` gave and nobody took over.
    public static func free(_ memory: UnsafeMutableRawPointer) { sqlite3_free(memory) }

    /// Replaces the main database by the `count` bytes of a database file at `memory`, for reading only.
    ///
    /// `memory` comes from ``allocate(_:)`` and belongs to the connection from here on, also when this fails. SQLite never
    /// opens a file for it: what was read and checked is what is used. Its pages are used where they lie, not copied into
    /// a cache.
    public borrowing func deserialize(readOnly memory: UnsafeMutableRawPointer, count: Int) throws(SQLiteError) {
        try deserialize(memory, count, flags: SQLITE_DESERIALIZE_READONLY | SQLITE_DESERIALIZE_FREEONCLOSE)
        try usePagesInPlace(count)
    }

    /// As ``deserialize(readOnly:count:)``, of bytes that another connection was given: they, and the zeros behind them,
    /// stay its own, and have to stay where they are as long as this one.
    public borrowing func deserialize(sharing bytes: UnsafeRawBufferPointer) throws(SQLiteError) {
        guard let base = bytes.baseAddress else {
            throw SQLiteError(extendedCode: SQLITE_MISUSE, message: "no bytes to share")
        }
        try deserialize(UnsafeMutableRawPointer(mutating: base), bytes.count, flags: SQLITE_DESERIALIZE_READONLY)
        try usePagesInPlace(bytes.count)
    }

    /// "mmap" of a database in memory maps nothing.
    private borrowing func usePagesInPlace(_ count: Int) throws(SQLiteError) {
        try execute("PRAGMA mmap_size = \(count)")
    }

    /// As ``deserialize(readOnly:count:)``, for reading and writing: in memory, and growing there.
    public borrowing func deserialize(writable memory: UnsafeMutableRawPointer, count: Int) throws(SQLiteError) {
        try deserialize(memory, count, flags: SQLITE_DESERIALIZE_RESIZEABLE | SQLITE_DESERIALIZE_FREEONCLOSE)
    }

    private borrowing func deserialize(
        _ memory: UnsafeMutableRawPointer, _ count: Int, flags: Int32
    ) throws(SQLiteError) {
        let code = sqlite3_deserialize(
            handle, "main", memory.assumingMemoryBound(to: UInt8.self), Int64(count), Int64(count),
            UInt32(flags))
        guard code == SQLITE_OK else { throw SQLiteError(code: code, connection: handle) }
    }
}
