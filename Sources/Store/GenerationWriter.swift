import Glibc
import IOMMUModel
import Snapshot

/// The open generation of a running engine: one writer, every commit durable when it returns.
///
/// Under `locking_mode=EXCLUSIVE`, `journal_mode=PERSIST`, `synchronous=FULL` no reader can delay it. Dropping the value
/// leaves an open generation behind: evidence, not a partial output.
public struct GenerationWriter: ~Copyable {
    private let file: WritableFile
    private var isSealed = false
    private var isPrecopied = false

    /// The generation's number.
    public let number: UInt64

    /// Creates the file at `path`, which must not exist, and makes it durable.
    ///
    /// - Throws: ``StoreError/alreadyExists(path:)``, ``StoreError/symbolicLink(path:)``, I/O errors; nothing is left
    ///   behind then.
    public init(
        creating path: String, number: UInt64, origin: Snapshot.Origin, parent: ParentGeneration? = nil
    ) throws(StoreError) {
        self.number = number
        file = try WritableFile(
            creating: FilePath(path), number: number, origin: origin, parent: parent, durability: .everyCommit)
    }

    /// After so many at once the pages of their table are not kept in memory: nothing reads them again.
    private static let manyEvents = 1 << 12

    /// Appends events in one durable transaction. Nothing happens for an empty list.
    public borrowing func append(_ events: [Event]) throws(StoreError) {
        guard !isSealed else { throw .alreadySealed(number: number) }
        guard !events.isEmpty else { return }
        try file.transaction { (records) throws(StoreError) in try records.write(events: events) }
        if events.count >= Self.manyEvents { file.releaseCache() }
    }

    /// Writes what changed since the last pass, while devices run, and `events`, in one durable transaction.
    ///
    /// The file then holds all that was told so far; it stays open, and cannot be restored. Rows that are the same as before
    /// are not written. O(changes).
    ///
    /// - Parameter beforeCommit: called when everything is written and nothing committed (a place to crash at).
    /// - Throws: on any error the generation is as it was before. After an I/O error the file is closed.
    public mutating func precopy(
        _ changes: SnapshotChanges, events: [Event] = [], beforeCommit: () -> Void = {}
    ) throws(StoreError) {
        guard !isSealed else { throw .alreadySealed(number: number) }
        try file.transaction(beforeCommit: beforeCommit) { (records) throws(StoreError) in
            try records.write(events: events)
            try records.write(changes)
        }
        isPrecopied = true
    }

    /// Writes what changed since the last pass, the last `events`, the manifest and the seal row in ONE transaction, durable
    /// when it returns. Nothing in it is proportional to the whole state.
    ///
    /// - Parameter beforeCommit: called when everything is written and nothing committed (a place to crash at).
    /// - Throws: on any error the generation is as it was before: open. After an I/O error the file is closed.
    public mutating func seal(
        _ changes: SnapshotChanges, nonce: HandoverNonce?, events: [Event] = [], beforeCommit: () -> Void = {}
    ) throws(StoreError) -> SealReceipt {
        try seal(nonce, events, beforeCommit) { (records) throws(StoreError) in try records.write(changes) }
    }

    /// As ``seal(_:nonce:events:beforeCommit:)-(SnapshotChanges,_,_,_)``, of a whole state when nothing was written before it.
    public mutating func seal(
        _ snapshot: Snapshot, nonce: HandoverNonce?, events: [Event] = [], beforeCommit: () -> Void = {}
    ) throws(StoreError) -> SealReceipt {
        precondition(!isPrecopied, "after a pre-copy only the changes are sealed")
        return try file.withoutForeignKeys { () throws(StoreError) in
            try seal(nonce, events, beforeCommit) { (records) throws(StoreError) in try records.write(snapshot) }
        }
    }

    private mutating func seal(
        _ nonce: HandoverNonce?, _ events: [Event], _ beforeCommit: () -> Void,
        _ write: (RecordWriter) throws(StoreError) -> Void
    ) throws(StoreError) -> SealReceipt {
        guard !isSealed else { throw .alreadySealed(number: number) }
        let number = number
        let receipt = try file.transaction(beforeCommit: beforeCommit) { (records) throws(StoreError) in
            try records.write(events: events)
            try write(records)
            return try records.writeSeal(version: FreshGeneration.version, generation: number, nonce: nonce)
        }
        isSealed = true
        return receipt
    }

    /// Rows that the last transaction wrote or removed, and all rows of the file; manifest and seal are not counted.
    public var rows: (changed: Int, all: Int) { file.rows }

    /// Closes the file for good: the journal is removed, the directory synced; a sealed file becomes read-only (0444).
    public consuming func release() throws(StoreError) {
        file.close()
        try file.path.journal.remove()
        if isSealed {
            let descriptor = try FileDescriptor(path: file.path.string, flags: O_RDONLY)
            try descriptor.setMode(0o444)
            try descriptor.sync()
        }
        try file.path.syncDirectory()
    }
}
