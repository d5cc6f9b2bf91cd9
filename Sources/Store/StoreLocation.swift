import Glibc
import IOMMUModel
import Snapshot

/// A store as the command line names it: one generation file, or a directory of them (`1.domstore`, `2.domstore` …).
///
/// Nothing is followed through a symbolic link, and nothing is written.
public struct StoreLocation: Sendable, Hashable {
    /// The ending of a generation's file name in a directory.
    public static let fileEnding = ".domstore"

    /// What can be said of one generation.
    public enum State: Sendable, Hashable {
        /// Sealed, and no later generation revokes it.
        case sealed(SealRecord)
        /// Sealed, and an event of a later generation says that it no longer counts.
        case revoked(SealRecord)
        /// Not sealed: of a running or a dead engine.
        case open
        /// Nothing was ever committed in it.
        case empty
        /// A running engine holds it.
        case held
        /// What keeps it from being read.
        case unreadable(StoreError)
    }

    /// One file of the store.
    public struct Generation: Sendable, Hashable {
        /// From the file's name in a directory, else from the file.
        public var number: UInt64
        /// Of the file.
        public var path: String
        /// As found; of a single file never `revoked`, `empty`, `held` or `unreadable`.
        public var state: State
        /// `nil` when the file could not be read.
        public var header: GenerationHeader?
    }

    /// As given, without slashes at its end.
    public let path: String
    /// False for a single generation file.
    public let isDirectory: Bool

    /// Looks at what stands at `path`.
    ///
    /// - Throws: ``StoreError/symbolicLink(path:)``, ``StoreError/cannotOpen(path:errno:)``,
    ///   ``StoreError/notARegularFile(path:)``.
    public init(_ path: String) throws(StoreError) {
        var trimmed = path
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        guard !trimmed.isEmpty else { throw .cannotOpen(path: path, errno: ENOENT) }
        var status = stat()
        guard lstat(trimmed, &status) == 0 else { throw .cannotOpen(path: path, errno: errno) }
        if status.isSymbolicLink { throw .symbolicLink(path: path) }
        guard status.isDirectory || status.isRegular else { throw .notARegularFile(path: path) }
        self.path = trimmed
        isDirectory = status.isDirectory
    }

    /// Makes a directory for generations at `path`, and its name durable: what will be sealed in it must not be lost with
    /// it. False when something stands there already.
    public static func makeDirectory(_ path: String) throws(StoreError) -> Bool {
        guard mkdir(path, 0o755) == 0 else {
            if errno == EEXIST { return false }
            throw .io(operation: "mkdir", path: path, errno: errno)
        }
        var trimmed = path
        while trimmed.hasSuffix("/") { trimmed.removeLast() }
        try FilePath(trimmed).syncDirectory()
        return true
    }

    /// The path of generation `number` in a directory.
    public func path(of number: UInt64) -> String { isDirectory ? "\(path)/\(number)\(Self.fileEnding)" : path }

    /// The numbers of the generation files in a directory, ascending, by their names.
    ///
    /// - Throws: ``StoreError/symbolicLink(path:)`` for a generation that is a link.
    public func numbers() throws(StoreError) -> [UInt64] {
        guard isDirectory else { return [] }
        guard let directory = opendir(path) else { throw .cannotOpen(path: path, errno: errno) }
        defer { closedir(directory) }
        var numbers: [UInt64] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.hasSuffix(Self.fileEnding) else { continue }
            let digits = name.dropLast(Self.fileEnding.count)
            guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), digits.first != "0",
                let number = UInt64(digits), number <= UInt64(Int64.max)
            else { continue }
            guard let status = try FilePath(directory: path, name: name).status() else { continue }
            if status.isSymbolicLink { throw .symbolicLink(path: "\(path)/\(name)") }
            numbers.append(number)
        }
        return numbers.sorted()
    }

    /// The number that the next generation of a directory gets.
    public func nextNumber() throws(StoreError) -> UInt64 { (try numbers().last ?? 0) + 1 }

    /// Creates generation `number` of a directory, open, for an engine restored from `parent`, if any. With `nil` it is the
    /// next number that no other engine takes meanwhile.
    ///
    /// - Throws: ``StoreError/heldByEngine(path:)`` when another engine took `number`; as
    ///   ``GenerationWriter/init(creating:number:origin:parent:)``.
    public func create(
        number: UInt64? = nil, parent: ParentGeneration? = nil
    ) throws(StoreError) -> GenerationWriter {
        while true {
            let chosen = if let number { number } else { try nextNumber() }
            do throws(StoreError) {
                return try GenerationWriter(creating: path(of: chosen), number: chosen, origin: .engine, parent: parent)
            } catch {
                guard case .alreadyExists(let path) = error else { throw error }
                if number != nil { throw .heldByEngine(path: path) }
            }
        }
    }

    /// Every generation with its state, ascending. Reads every file.
    ///
    /// - Throws: ``StoreError/emptyDirectory(path:)``, and for a single file whatever is wrong with it.
    public func generations() throws(StoreError) -> [Generation] {
        guard isDirectory else {
            let reader = try GenerationReader(path: path)
            let state: State = reader.seal.map(State.sealed) ?? .open
            return [Generation(number: reader.header.number, path: path, state: state, header: reader.header)]
        }
        let numbers = try numbers()
        guard !numbers.isEmpty else { throw .emptyDirectory(path: path) }
        var found: [Generation] = []
        var revoked: Set<UInt64> = []
        for number in numbers.reversed() {
            let isRevoked = revoked.contains(number)
            var generation = look(number, &revoked)
            if case .sealed(let seal) = generation.state, isRevoked { generation.state = .revoked(seal) }
            found.append(generation)
        }
        return found.reversed()
    }

    /// The file to read: generation `number`, else the newest sealed one that is not revoked.
    ///
    /// Generations that were never sealed are passed over; one that cannot be read is not, since it may be the newest.
    ///
    /// - Throws: ``StoreError/emptyDirectory(path:)``, ``StoreError/noSuchGeneration(path:number:)``,
    ///   ``StoreError/noSealedGeneration(path:)``, or what is wrong with the newest file.
    public func resolve(generation number: UInt64? = nil) throws(StoreError) -> String {
        guard isDirectory else {
            guard let number else { return path }
            guard try GenerationReader(path: path).header.number == number else {
                throw .noSuchGeneration(path: path, number: number)
            }
            return path
        }
        let numbers = try numbers()
        guard !numbers.isEmpty else { throw .emptyDirectory(path: path) }
        if let number {
            guard numbers.contains(number) else { throw .noSuchGeneration(path: path, number: number) }
            return path(of: number)
        }
        var revoked: Set<UInt64> = []
        for number in numbers.reversed() {
            let isRevoked = revoked.contains(number)
            let generation = look(number, &revoked)
            switch generation.state {
            case .sealed where !isRevoked: return generation.path
            case .unreadable(let error): throw error
            case .sealed, .revoked, .open, .empty, .held: break
            }
        }
        throw .noSealedGeneration(path: path)
    }

    /// - Parameters:
    ///   - revoked: gets the generations that this one's events revoke.
    ///   - again: it had no content a moment ago, and then it had.
    private func look(_ number: UInt64, _ revoked: inout Set<UInt64>, again: Bool = false) -> Generation {
        let path = path(of: number)
        do throws(StoreError) {
            let reader = try GenerationReader(path: path)
            guard reader.header.number == number else {
                throw .recordDamaged(
                    table: RecordTable.generation.name, key: "id=1",
                    what: "the file says generation \(reader.header.number), its name \(number)", rule: .recordMalformed
                )
            }
            let state: State = reader.seal.map(State.sealed) ?? .open
            for event in (try? reader.events()) ?? [] where event.kind == .revoke {
                if let number = event["generation"].flatMap({ UInt64($0) }) { revoked.insert(number) }
            }
            return Generation(number: number, path: path, state: state, header: reader.header)
        } catch {
            switch error {
            case .heldByEngine, .heldHere: return Generation(number: number, path: path, state: .held)
            case .headerDamaged(offset: 0, _):
                if let state = Self.stateWithoutContent(path) {
                    return Generation(number: number, path: path, state: state)
                }
                // An engine may have been creating it.
                if !again { return look(number, &revoked, again: true) }
            default: break
            }
            return Generation(number: number, path: path, state: .unreadable(error))
        }
    }

    /// Empty when the file, after its journal is rolled back, has no byte: its creation never committed, it can hold no
    /// seal. Held when an engine is creating it. Else `nil`.
    private static func stateWithoutContent(_ path: String) -> State? {
        do throws(StoreError) {
            let place = try FilePath(path)
            if try HotJournal.state(of: place) == .rolledBack {
                return try HotJournal.rolledBack(place).count == 0 ? .empty : nil
            }
            return try place.status()?.st_size == 0 ? .empty : nil
        } catch {
            switch error {
            case .heldByEngine, .heldHere: return .held
            default: return nil
            }
        }
    }
}
