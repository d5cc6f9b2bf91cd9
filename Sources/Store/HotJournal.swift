import Glibc
import SQLite

/// What stands beside a file as its rollback journal, and what a hot one makes of a copy of it.
enum HotJournal {
    /// The state of the journal beside `path`.
    static func state(of path: FilePath) throws(StoreError) -> JournalState {
        let journal = path.journal
        guard let status = try journal.status() else { return .none }
        if status.isSymbolicLink { throw .symbolicLink(path: journal.string) }
        guard status.isRegular else { throw .journalDamaged(path: journal.string, what: "is no regular file") }
        let file: FileDescriptor
        do throws(StoreError) {
            file = try FileDescriptor(path: journal.string, flags: O_RDONLY | O_NONBLOCK)
        } catch {
            // Its engine has just released it.
            if error == .cannotOpen(path: journal.string, errno: ENOENT) { return .none }
            throw error
        }
        let head = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 8)
        defer { head.deallocate() }
        // An empty journal, or one whose header is zeroed, is spent (SQLite under EXCLUSIVE or PERSIST).
        guard try file.read(into: head) == 8, head.contains(where: { $0 != 0 }) else { return .spent }
        return .rolledBack
    }

    /// The bytes of `path` after its hot journal is rolled back in a copy; the originals are not touched.
    static func rolledBack(_ path: FilePath) throws(StoreError) -> FileBytes {
        var template = Array("/tmp/domstore-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else {
            throw .io(operation: "mkdtemp", path: "/tmp", errno: errno)
        }
        let directory = String(cString: made)
        let copy = FilePath(directory: directory, name: path.name)
        defer {
            unlink(copy.string)
            unlink(copy.journal.string)
            rmdir(directory)
        }
        let connection = try silent(copy)
        for (from, to) in [(path, copy), (path.journal, copy.journal)] {
            let bytes = try FileBytes.read(from)
            if from == path.journal { try refuseMaster(of: bytes, path.journal) }
            try FileDescriptor(path: to.string, flags: O_WRONLY | O_CREAT, mode: 0o600)
                .write(UnsafeRawBufferPointer(start: bytes.base, count: bytes.count))
        }
        do {
            _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
        } catch {
            // An empty database after the rollback is one: nothing was ever committed.
            if !error.isCorrupt { throw StoreError(error) }
            throw .journalDamaged(path: path.journal.string, what: error.message)
        }
        return try FileBytes.read(copy)
    }

    /// A connection to a new empty file at `path`, which makes nothing of it durable: nobody needs the copy after this
    /// process. Said before the file has its bytes: to obey, SQLite reads the schema, and would roll back before that.
    private static func silent(_ path: FilePath) throws(StoreError) -> Connection {
        _ = try FileDescriptor(path: path.string, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600).status()
        return try store { () throws(SQLiteError) in
            let connection = try Connection(path: path.string, flags: [.readWrite, .noFollow, .noMutex])
            connection.limit(.attachedDatabases, to: 0)
            try connection.set(.defensive, to: true)
            try connection.set(.trustedSchema, to: false)
            try connection.execute("PRAGMA synchronous = OFF")
            return connection
        }
    }

    /// The 8 bytes that a journal begins with.
    static let magic: [UInt8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]

    /// A transaction over several files ends its journals with the name of a master journal, and the magic. SQLite removes
    /// the file of that name after the rollback: a stranger's journal could name any. Ours has one file only.
    private static func refuseMaster(of journal: borrowing FileBytes, _ path: FilePath) throws(StoreError) {
        let bytes = UnsafeRawBufferPointer(start: journal.base, count: journal.count)
        guard bytes.count < 16 || !bytes.suffix(8).elementsEqual(magic) else {
            throw .journalDamaged(path: path.string, what: "names another file as its master")
        }
    }
}
