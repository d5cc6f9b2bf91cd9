import CSQLite

/// What SQLite answered when it was not success.
public struct SQLiteError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The extended result code, for example 1034 (`SQLITE_IOERR_FSYNC`).
    public var extendedCode: Int32
    /// SQLite's own words.
    public var message: String

    /// As given; nothing is checked. For what answers in SQLite's place.
    public init(extendedCode: Int32, message: String) {
        self.extendedCode = extendedCode
        self.message = message
    }

    init(code: Int32, connection: OpaquePointer?) {
        if let connection, sqlite3_errcode(connection) & 0xff == code & 0xff {
            self.init(
                extendedCode: sqlite3_extended_errcode(connection), message: String(cString: sqlite3_errmsg(connection))
            )
        } else {
            self.init(extendedCode: code, message: String(cString: sqlite3_errstr(code)))
        }
    }

    /// The primary result code: the low 8 bits of ``extendedCode``.
    public var code: Int32 { extendedCode & 0xff }

    /// The disk did not do what it was asked: the state of the file is no longer known.
    public var isInputOutput: Bool { code == SQLITE_IOERR }

    /// The deadline passed (``Connection/setDeadline(secondsFromNow:)``).
    public var isInterrupted: Bool { code == SQLITE_INTERRUPT }

    /// The file's structure contradicts itself.
    public var isCorrupt: Bool { code == SQLITE_CORRUPT || code == SQLITE_NOTADB }

    /// `SQLite CODE: MESSAGE`, the code in decimal and extended.
    public var description: String { "SQLite \(extendedCode): \(message)" }
}
