import Glibc
import Store

/// The files that a run makes beside its store: the memory file and its description.
///
/// They are looked at before any work is done, so that nothing that stood there is lost, and taken back when the machine
/// cannot even be built. From the first event on nothing is taken back: what a run leaves then is evidence.
struct RunOutputs {
    private let store: String
    private let files: [String]
    private let madeStore: Bool
    /// The number of the generation that the run will seal.
    let number: UInt64

    /// Refuses what stands in the way; with `force` a regular file makes room.
    ///
    /// - Throws: ``StoreError/alreadyExists(path:)``, ``StoreError/notARegularFile(path:)``; ``ScenarioError/io(operation:path:errno:)``.
    init(_ options: HandoverRun.Options) throws {
        store = options.store
        files = options.memory.map { [$0, HandoverRun.descriptionPath(of: $0)] } ?? []
        for path in files {
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            guard status.st_mode & S_IFMT == S_IFREG else { throw StoreError.notARegularFile(path: path) }
            guard options.force else { throw StoreError.alreadyExists(path: path) }
        }
        madeStore = try StoreLocation.makeDirectory(store)
        let location = try StoreLocation(store)
        guard location.isDirectory else {
            throw ScenarioError.unreadable(
                file: store, place: "", what: "found a file; expected a directory of generations, or nothing")
        }
        number = try location.nextNumber()
        for path in files { unlink(path) }
    }

    /// The generation that the run writes first. It has the number that the engine's seed was mixed with, or none:
    /// otherwise two runs at once could draw one nonce.
    func firstGeneration() throws -> GenerationWriter { try StoreLocation(store).create(number: number) }

    /// Runs what needs no store yet; when it fails, nothing is left of it.
    func guarding<R: ~Copyable>(_ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch {
            for path in files { unlink(path) }
            if madeStore { rmdir(store) }
            throw error
        }
    }
}
