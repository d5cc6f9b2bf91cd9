import Glibc
import SQLite
import Snapshot

/// A database file that this process has created and writes: connection, prepared statements, manifest in memory.
///
/// A class, so that its parts end in order: statements, connection, then the claim on the file.
final class WritableFile {
    /// How durable each transaction is.
    enum Durability {
        /// EXCLUSIVE, PERSIST, FULL: every commit is durable when it returns.
        case everyCommit
        /// No journal, no syncs: the caller syncs the whole file once (a fresh file under a temporary name).
        case atTheEnd
    }

    let path: FilePath
    let number: UInt64
    private var held: HeldFile?
    private var connection: Connection?
    private var records: RecordWriter?

    /// Creates the file (it must not exist), and in ONE transaction the schema and the generation's own rows: a crash
    /// leaves an empty file or an open generation.
    ///
    /// - Parameter beforeCommit: called when everything is written and nothing committed (a place to crash at).
    init(
        creating path: FilePath, number: UInt64, origin: Snapshot.Origin, parent: ParentGeneration?,
        durability: Durability, beforeCommit: () -> Void = {}
    ) throws(StoreError) {
        self.path = path
        self.number = number
        if let status = try path.status() {
            throw status.isSymbolicLink ? .symbolicLink(path: path.string) : .alreadyExists(path: path.string)
        }
        let identity = try FileDescriptor(path: path.string, flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o644).status()
            .identity
        do throws(StoreError) {
            held = HeldFile(identity)
            let path = path.string
            let connection = try store { () throws(SQLiteError) in
                let connection = try Connection(
                    path: path, flags: [.readWrite, .noFollow, .noMutex], vfs: GatheringLayer.name)
                try connection.execute("PRAGMA page_size = 4096")
                try connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                switch durability {
                case .everyCommit:
                    try connection.execute("PRAGMA journal_mode = PERSIST")
                    try connection.execute("PRAGMA synchronous = FULL")
                case .atTheEnd:
                    try connection.execute("PRAGMA journal_mode = OFF")
                    try connection.execute("PRAGMA synchronous = OFF")
                }
                // A whole snapshot is asked for its references by its writer.
                try connection.execute("PRAGMA foreign_keys = \(durability == .everyCommit ? "ON" : "OFF")")
                try connection.execute("PRAGMA cache_size = -262144")
                try connection.execute("BEGIN IMMEDIATE")
                return connection
            }
            try MigrationRunner.run(on: connection)
            let records = try RecordWriter(connection, isLive: durability == .everyCommit)
            self.records = records
            self.connection = consume connection
            try records.write([GenerationRow(number: number, origin: origin, parent: parent)])
            try records.write(Feature.known.map(FeatureRow.init))
            beforeCommit()
            try records.commit()
            if durability == .everyCommit { try self.path.syncDirectory() }
        } catch {
            close()
            try? path.remove()
            try? path.journal.remove()
            throw error
        }
    }

    /// Runs `body` in one transaction: all of it or nothing.
    ///
    /// A failure after which the state of the disk is unknown closes the file for good.
    func transaction<R>(
        beforeCommit: () -> Void = {}, _ body: (RecordWriter) throws(StoreError) -> R
    ) throws(StoreError) -> R {
        guard let records else { throw .closed(number: number) }
        do throws(StoreError) {
            try records.begin()
            let result = try body(records)
            beforeCommit()
            try records.commit()
            return result
        } catch {
            records.rollBack()
            // No retry on this file after a failed sync: what is durable is unknown.
            if error.leavesFileUnknown { close() } else { try? execute("ROLLBACK") }
            throw error
        }
    }

    /// Rows that the last transaction wrote or removed, and all rows; 0 once the file is closed.
    var rows: (changed: Int, all: Int) {
        guard let records else { return (0, 0) }
        return (records.changedRows, Int(clamping: records.manifest.rowCount))
    }

    /// Runs `body` while SQLite does not look references up: for a transaction that writes a whole snapshot, which its writer
    /// asks.
    func withoutForeignKeys<R>(_ body: () throws(StoreError) -> R) throws(StoreError) -> R {
        try execute("PRAGMA foreign_keys = OFF")
        defer { try? execute("PRAGMA foreign_keys = ON") }
        return try body()
    }

    /// Gives the memory back that unchanged pages are cached in.
    func releaseCache() { try? execute("PRAGMA shrink_memory") }

    private func execute(_ sql: String) throws(StoreError) {
        guard connection != nil else { throw .closed(number: number) }
        do { try connection!.execute(sql) } catch { throw StoreError(error) }
    }

    /// Ends statements, connection and claim, in this order.
    func close() {
        records = nil
        connection = nil
        held = nil
    }

    deinit { close() }
}
