import Glibc
import IOMMUModel
import Migrations
import SQLite

/// Brings a generation of an older format version to a newer one: forward only, on a copy, all of it or nothing. The
/// original is never written.
public enum Migrator {
    /// What became of one generation.
    public struct Outcome: Sendable, Hashable {
        /// The format version that the file has.
        public var from: UInt32
        /// The one that the copy has; equal to ``from`` when there was nothing to do, and no copy.
        public var to: UInt32
        /// Of the generation.
        public var number: UInt64
        /// The seal of the original; `nil` for an open generation, and where nothing was to be done.
        public var oldSeal: SealReceipt?
        /// The seal of the copy.
        public var newSeal: SealReceipt?
        /// What was found beside the original.
        public var journal: JournalState

        /// True when the file has the newest version already: nothing was written.
        public var isCurrent: Bool { from == to }
    }

    /// Writes the generation at `path`, brought to the current version, to the new file `out`.
    ///
    /// The original is read as a file of a stranger, and must be without a defect. The migrations run in one transaction
    /// in memory; checksums, manifest and root are computed anew; what is written is read back and checked before it gets
    /// its name. An open generation stays open. Unknown optional features stay.
    ///
    /// - Parameters:
    ///   - parents: roots of parents that were migrated, too: the copy names the new one.
    ///   - beforeNaming: as that of ``FreshGeneration``; not called for an open generation.
    /// - Throws: ``StoreError/tooNew(found:supported:)``, ``StoreError/unknownFeature(bit:name:version:supported:)``,
    ///   ``StoreError/recordDamaged(table:key:what:rule:)``, ``StoreError/alreadyExists(path:)``, I/O errors.
    public static func migrate(
        _ path: String, to out: String, parents: [RootDigest: RootDigest] = [:],
        beforeNaming: (String) throws(StoreError) -> Void = { (_) throws(StoreError) in }
    ) throws(StoreError) -> Outcome {
        try migrate(path, to: out, parents: parents, migrations: Migrations.all, beforeNaming: beforeNaming)
    }

    static func migrate(
        _ path: String, to out: String, parents: [RootDigest: RootDigest] = [:], migrations: [Migration],
        beforeNaming: (String) throws(StoreError) -> Void = { (_) throws(StoreError) in }
    ) throws(StoreError) -> Outcome {
        let target = UInt32(migrations.count)
        let found = try read(path)
        let journal = found.journal
        let original = found.take()
        let raw = UnsafeRawBufferPointer(start: original.base, count: original.count)
        let header = try DatabaseHeader(raw, versions: 1...target)
        try header.check(fileBytes: UInt64(original.count))
        let copy = try original.copy()
        let connection = try open(original, header.userVersion, migrations)
        let number = UInt64(bitPattern: try one("SELECT number FROM generation", connection))
        if header.userVersion == target {
            return Outcome(from: target, to: target, number: number, journal: journal)
        }
        let old = try VersionedStore(of: migrations[..<Int(header.userVersion)], in: connection).seal(connection)?
            .receipt

        let place = try FilePath(out)
        if let status = try place.status() {
            throw status.isSymbolicLink ? .symbolicLink(path: out) : .alreadyExists(path: out)
        }
        let work = try writable(copy)
        let later = migrations[Int(header.userVersion)...]
        do throws(StoreError) {
            try run("BEGIN IMMEDIATE", work)
            try MigrationRunner.advance(work, later)
            // Only now: what they write is the schema, too. It was that of its version.
            try store { () throws(SQLiteError) in try work.set(.defensive, to: true) }
            for (before, after) in parents {
                try run(
                    "UPDATE generation SET parent_root = x'\(after)' WHERE parent_root = x'\(before)'", work)
            }
            try VersionedStore(of: migrations[...], in: work).seal(again: work)
            try run("COMMIT", work)
        } catch {
            throw .verificationFailed(path: path, what: "the migration to version \(target) failed: \(error)")
        }
        let temporary = FilePath(directory: place.directory, name: ".\(place.name).\(getpid()).tmp")
        let file = try FileDescriptor(path: temporary.string, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
        do throws(StoreError) {
            let problem = work.withDeserialized { bytes -> StoreError? in
                do throws(StoreError) { try file.write(bytes) } catch { return error }
                return nil
            }
            guard let problem else { throw .io(operation: "serialize", path: out, errno: ENOMEM) }
            if let problem { throw problem }
            if old != nil { try file.setMode(0o444) }
            try file.sync()
            let new = try verify(temporary, target, migrations)
            if new != nil { try beforeNaming(temporary.string) }
            try FreshGeneration.publish(temporary, as: place, replacing: false)
            try place.syncDirectory()
            return Outcome(
                from: header.userVersion, to: target, number: number, oldSeal: old, newSeal: new,
                journal: journal)
        } catch {
            try? temporary.remove()
            throw error
        }
    }

    /// The bytes of the original: of a read-only file as it stands, else after a hot journal beside it is rolled back in a
    /// copy. What does not belong shows as a defect.
    private static func read(_ path: String) throws(StoreError) -> Original {
        let place = try FilePath(path)
        let journal = try HotJournal.state(of: place)
        guard journal == .rolledBack else { return Original(bytes: try FileBytes.read(place), journal: journal) }
        guard let status = try place.status(), status.st_mode & 0o222 != 0 else {
            return Original(bytes: try FileBytes.read(place), journal: .stray)
        }
        return Original(bytes: try HotJournal.rolledBack(place), journal: journal)
    }

    private struct Original: ~Copyable {
        let bytes: FileBytes
        let journal: JournalState
        consuming func take() -> FileBytes { bytes }
    }

    /// Opens bytes of `version`; schema, features, every checksum, manifest and root must be right.
    private static func open(
        _ bytes: consuming FileBytes, _ version: UInt32, _ migrations: [Migration]
    ) throws(StoreError) -> Connection {
        let connection = try GenerationReader.hostile(bytes)
        let known = migrations[..<Int(version)]
        _ = try KnownSchema(of: known).check(connection)
        if let defect = try VersionedStore(of: known, in: connection).defects(connection).first { throw defect.error }
        let features = try GenerationReader.records(FeatureRow.self, connection).map(\.feature)
        if let unknown = features.first(where: { $0.isRequired && !Feature.known.contains($0) }) {
            throw .unknownFeature(
                bit: unknown.bit, name: unknown.name, version: version, supported: UInt32(migrations.count))
        }
        return connection
    }

    private static func writable(_ bytes: consuming FileBytes) throws(StoreError) -> Connection {
        let (memory, count) = bytes.take()
        do {
            let connection = try Connection(path: ":memory:", flags: [.readWrite, .memory, .noMutex])
            try connection.deserialize(writable: memory, count: count)
            try connection.set(.trustedSchema, to: false)
            try connection.set(.triggers, to: false)
            connection.limit(.attachedDatabases, to: 0)
            try connection.execute("PRAGMA temp_store = MEMORY")
            return connection
        } catch { throw StoreError(error) }
    }

    /// Reads back what was written: every check of its version, and for the current one those of the reader.
    private static func verify(
        _ path: FilePath, _ version: UInt32, _ migrations: [Migration]
    ) throws(StoreError) -> SealReceipt? {
        do throws(StoreError) {
            let bytes = try FileBytes.read(path)
            let header = try DatabaseHeader(
                UnsafeRawBufferPointer(start: bytes.base, count: bytes.count), versions: version...version)
            try header.check(fileBytes: UInt64(bytes.count))
            let connection = try open(bytes, version, migrations)
            guard migrations.map(\.sql) == Migrations.all.map(\.sql) else {
                return try VersionedStore(of: migrations[...], in: connection).seal(connection)?.receipt
            }
            let reader = try GenerationReader(path: path.string)
            if let defect = reader.defects().first { throw defect.error }
            return reader.seal?.receipt
        } catch {
            throw .verificationFailed(path: path.string, what: error.description)
        }
    }

    private static func one(_ sql: String, _ connection: borrowing Connection) throws(StoreError) -> Int64 {
        do { return try connection.integer(sql) ?? 0 } catch { throw StoreError(error) }
    }

    private static func run(_ sql: String, _ connection: borrowing Connection) throws(StoreError) {
        do { try connection.execute(sql) } catch { throw StoreError(error) }
    }
}
