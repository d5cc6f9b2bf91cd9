import IOMMUModel
import SQLite

/// Why a store could not be opened, read or written. Each case is one clear line as ``description``.
public enum StoreError: Error, Sendable, Hashable {
    /// A file or directory could not be opened.
    case cannotOpen(path: String, errno: Int32)
    /// Neither a regular file nor, where one is meant, a directory.
    case notARegularFile(path: String)
    /// The path, or a generation in the directory, is a symbolic link.
    case symbolicLink(path: String)
    /// The file is larger than the reader accepts.
    case tooLarge(path: String, bytes: UInt64, limit: UInt64)
    /// A SQLite file of another application.
    case notOurs(applicationID: UInt32)
    /// Written by a newer program.
    case tooNew(found: UInt32, supported: UInt32)
    /// A version that this program cannot read without a migration.
    case tooOld(found: UInt32, supported: UInt32)
    /// The file asks for a feature that this program does not know.
    case unknownFeature(bit: Int64, name: String, version: UInt32, supported: UInt32)
    /// The file's first 100 bytes are not what they must be.
    case headerDamaged(offset: Int, what: String)
    /// The named object of the schema is missing, too many or different.
    case schemaDiffers(name: String)
    /// The rollback journal beside the file cannot be used.
    case journalDamaged(path: String, what: String)
    /// A running engine of another process holds the file.
    case heldByEngine(path: String)
    /// This process itself holds the file; opening it again would drop its locks.
    case heldHere(path: String)
    /// The output exists.
    case alreadyExists(path: String)
    /// The directory holds no generation.
    case emptyDirectory(path: String)
    /// The directory holds no generation of that number.
    case noSuchGeneration(path: String, number: UInt64)
    /// No generation of the store is sealed and not revoked.
    case noSealedGeneration(path: String)
    /// The record cannot be what it must be.
    case recordDamaged(table: String, key: String, what: String, rule: RuleID)
    /// A record of the snapshot has a value that the format cannot hold.
    case unrepresentable(table: String, key: String, what: String)
    /// The generation is sealed: it is never written again.
    case alreadySealed(number: UInt64)
    /// An earlier failure closed the file; what it holds is old or new, and is not tried again.
    case closed(number: UInt64)
    /// What was written does not read back as it was.
    case verificationFailed(path: String, what: String)
    /// There is no view of that name.
    case unknownView(name: String)
    /// The text is no query, or one that does more than read.
    case queryRefused(what: String)
    /// The query took more than it may.
    case queryLimit(what: String)
    /// SQLite's answer.
    case sqlite(extendedCode: Int32, message: String)
    /// An operation of the operating system failed.
    case io(operation: String, path: String, errno: Int32)

    init(_ error: SQLiteError) { self = .sqlite(extendedCode: error.extendedCode, message: error.message) }

    /// After it the state of the disk is unknown: the file is closed and not tried again.
    var leavesFileUnknown: Bool {
        switch self {
        case .sqlite(let code, _): code & 0xff == 10 || code & 0xff == 11
        case .io: true
        default: false
        }
    }
}

/// Runs `body`, whose errors are SQLite's, as part of a function of the store.
@inline(__always)
func store<R: ~Copyable>(_ body: () throws(SQLiteError) -> R) throws(StoreError) -> R {
    do { return try body() } catch { throw StoreError(error) }
}
