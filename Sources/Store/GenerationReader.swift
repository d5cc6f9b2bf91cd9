import IOMMUModel
import Migrations
import SQLite
import Snapshot

/// One generation file, read as a file of a stranger.
///
/// Own descriptor, header checked before SQLite sees it, the bytes read once into memory and deserialised read-only, a
/// schema that must be the known one, limits and a deadline. Nothing on disk is ever touched.
public struct GenerationReader: ~Copyable {
    /// What the file says about itself; checked when it was opened.
    public let header: GenerationHeader
    /// The seal, or `nil` for an open generation.
    public let seal: SealRecord?
    let connection: Connection

    /// Seconds after which a query is given up.
    static let deadlineSeconds: UInt64 = 300

    /// Opens `path`.
    ///
    /// - Throws: whatever is wrong with the file as a file: not regular, a link, not ours, too new, a damaged header or
    ///   schema, held by a running engine. What is wrong with its records is for ``defects()``.
    public init(path: String) throws(StoreError) {
        let place = try FilePath(path)
        for _ in 0..<Self.attempts {
            if let reader = try Self.look(path, place) {
                self = reader
                return
            }
        }
        throw .heldByEngine(path: path)
    }

    /// How often a file is looked at whose journal changes meanwhile.
    private static let attempts = 16

    /// `nil` when the journal became hot, or no longer is, while this looked: an engine has ended or died meanwhile, and
    /// file and journal may not belong together.
    private static func look(_ path: String, _ place: FilePath) throws(StoreError) -> GenerationReader? {
        let journal = try HotJournal.state(of: place)
        func isSettled() throws(StoreError) -> Bool {
            (try HotJournal.state(of: place) == .rolledBack) == (journal == .rolledBack)
        }
        do throws(StoreError) {
            let reader = try read(path, place, journal)
            guard try isSettled() else { return nil }
            return reader
        } catch {
            if case .heldByEngine = error { throw error }
            guard try isSettled() else { return nil }
            throw error
        }
    }

    private static func read(
        _ path: String, _ place: FilePath, _ journal: JournalState
    ) throws(StoreError) -> GenerationReader {
        guard journal == .rolledBack else {
            return try GenerationReader(path: path, FileBytes.read(place), journal: journal)
        }
        if let whole = try released(path, place) { return whole }
        return try GenerationReader(path: path, HotJournal.rolledBack(place), journal: .rolledBack)
    }

    /// The file as it stands when it is read-only, sealed and without a defect: then the journal beside it is not its own.
    /// A release removes the journal before it makes the file read-only, and nothing is written after it.
    private static func released(_ path: String, _ place: FilePath) throws(StoreError) -> GenerationReader? {
        guard let status = try place.status(), status.st_mode & 0o222 == 0 else { return nil }
        do throws(StoreError) {
            let reader = try GenerationReader(path: path, FileBytes.read(place), journal: .stray)
            guard reader.seal != nil, reader.defects().isEmpty else { return nil }
            return reader
        } catch { return nil }
    }

    private init(path: String, _ bytes: consuming FileBytes, journal: JournalState) throws(StoreError) {
        var journal = journal
        let raw = UnsafeRawBufferPointer(start: bytes.base, count: bytes.count)
        let database = try DatabaseHeader(raw)
        try database.check(fileBytes: UInt64(bytes.count))
        let size = UInt64(bytes.count)

        let schema = try KnownSchema.current.get()
        let connection = try Self.hostile(bytes)
        let hasStatistics = try schema.check(connection)

        let generations = try Self.records(GenerationRow.self, connection)
        guard generations.count == 1, let generation = generations.first else {
            throw .recordDamaged(
                table: RecordTable.generation.name, key: "", what: "\(generations.count) rows, expected 1",
                rule: .recordMalformed)
        }
        let features = try Self.records(FeatureRow.self, connection).map(\.feature)
        if let unknown = features.first(where: { $0.isRequired && !Feature.known.contains($0) }) {
            throw .unknownFeature(
                bit: unknown.bit, name: unknown.name, version: database.userVersion, supported: Migrations.current)
        }
        let seals = try Self.records(SealRow.self, connection)
        guard seals.count <= 1, seals.first.map({ $0.seal.generation == generation.number }) ?? true else {
            throw .recordDamaged(
                table: RecordTable.seal.name, key: "", what: "the seal is not of generation \(generation.number)",
                rule: .recordMalformed)
        }
        // A sealed file is never written again: a journal that leaves it sealed is not its own.
        if journal == .rolledBack, seals.first != nil { journal = .stray }
        seal = seals.first?.seal
        header = GenerationHeader(
            path: path, byteCount: size, database: database, number: generation.number, origin: generation.origin,
            parent: generation.parent, features: features, journal: journal, hasStatistics: hasStatistics)
        self.connection = connection
    }

    /// A connection to bytes that cannot be trusted, for reading only: nothing of them may do anything.
    static func hostile(_ bytes: consuming FileBytes) throws(StoreError) -> Connection {
        let (memory, count) = bytes.take()
        return try hostile { (connection) throws(SQLiteError) in
            try connection.deserialize(readOnly: memory, count: count)
        }
    }

    /// As ``hostile(_:)``, of bytes that stay the caller's, who keeps them unchanged as long as the connection.
    static func hostile(sharing bytes: UnsafeRawBufferPointer) throws(StoreError) -> Connection {
        try hostile { (connection) throws(SQLiteError) in try connection.deserialize(sharing: bytes) }
    }

    private static func hostile(
        _ load: (borrowing Connection) throws(SQLiteError) -> Void
    ) throws(StoreError) -> Connection {
        try store { () throws(SQLiteError) in
            let connection = try Connection(path: ":memory:", flags: [.readWrite, .memory, .noMutex])
            try load(connection)
            try connection.set(.defensive, to: true)
            try connection.set(.trustedSchema, to: false)
            try connection.set(.triggers, to: false)
            try connection.set(.loadExtension, to: false)
            connection.limit(.attachedDatabases, to: 0)
            connection.limit(.triggerDepth, to: 0)
            connection.limit(.workerThreads, to: 0)
            connection.limit(.valueBytes, to: 64 << 20)
            connection.limit(.sqlBytes, to: 1 << 20)
            connection.limit(.expressionDepth, to: 200)
            connection.limit(.patternBytes, to: 1000)
            try connection.execute("PRAGMA cell_size_check = ON")
            connection.setDeadline(secondsFromNow: deadlineSeconds)
            return connection
        }
    }

    /// Every row of one table, checksums verified; the first damaged row throws.
    static func records<R: StoredRecord>(
        _: R.Type, _ connection: borrowing Connection
    ) throws(StoreError) -> [R] {
        var found: [R] = []
        var damage: StoreDefect?
        _ = try TableCheck.read(R.table, connection) { (row) throws(RowDefect) in
            found.append(try R(from: row))
        } defect: { defect in
            damage = damage ?? defect
        }
        if let damage { throw damage.error }
        return found
    }

    /// The bytes of the file as they were read, which everything else here comes from.
    public borrowing func withFileBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        guard let result = try connection.withDeserialized(body) else {
            preconditionFailure("a reader has its file in memory")
        }
        return result
    }

    /// The whole state; the first damaged record throws ``StoreError/recordDamaged(table:key:what:rule:)``.
    public borrowing func snapshot() throws(StoreError) -> Snapshot {
        let state = readState()
        if let failure = state.failure { throw failure }
        if let damage = state.defects.first { throw damage.error }
        return state.snapshot
    }

    /// The journal of events, in order.
    public borrowing func events() throws(StoreError) -> [Event] { try Self.records(Event.self, connection) }

    /// The rows of one view, for listings: `SELECT * FROM <view>`.
    public borrowing func rows(ofView name: String) throws(StoreError) -> (columns: [String], rows: [[SQLValue]]) {
        let schema = try KnownSchema.current.get()
        guard schema.objects[name]?.type == "view" else { throw .unknownView(name: name) }
        do {
            let statement = try connection.prepare("SELECT * FROM \"\(name)\"")
            let columns = (0..<statement.columnCount).map { statement.columnName($0) }
            var rows: [[SQLValue]] = []
            while try statement.step() { rows.append((0..<columns.count).map { statement.value($0) }) }
            return (columns, rows)
        } catch { throw StoreError(error) }
    }
}
