import Glibc
import IOMMUModel
import Import
import Scenario
import Snapshot
import Store

/// One side of `diff`: a generation file, a directory of them (`DIR` or `DIR@N`), or a memory image.
struct ComparedState {
    /// As it was given.
    let argument: String
    /// What describes it when it is an image; `nil`: the file beside it that is named alike.
    var meta: String?
    /// Damages of the meta file to be applied to the image.
    var patches: [String] = []

    /// A memory image, which is described by another file.
    var isImage: Bool { place.generation == nil && Self.isImage(place.path) }

    /// What can be read of it, and what is wrong with the file where it is a store.
    func read() throws -> (snapshot: Snapshot, damage: Damage?) {
        let (path, generation) = place
        if isImage { return (try image(path), nil) }
        var store = StoreArguments()
        (store.store, store.generation) = (path, generation)
        let (snapshot, damage) = try store.readable()
        guard !snapshot.units.isEmpty else {
            throw Failure(
                .badInput, "\(argument): found no state; expected a generation that was sealed, or pre-copied")
        }
        return (snapshot, damage)
    }

    /// The path, and the generation behind its `@`, where nothing has the whole for its name.
    private var place: (path: String, generation: UInt64?) {
        guard access(argument, F_OK) != 0, let at = argument.lastIndex(of: "@"),
            let number = UInt64(argument[argument.index(after: at)...])
        else { return (argument, nil) }
        return (String(argument[..<at]), number)
    }

    /// A regular file that does not begin as a database does. What cannot be opened is left to those who say why.
    private static func isImage(_ path: String) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
        let descriptor = open(path, O_RDONLY | Int32(O_CLOEXEC))
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var start = [UInt8](repeating: 0, count: 16)
        let count = pread(descriptor, &start, start.count, 0)
        return count > 0 && start.prefix(count) != Array("SQLite format 3\0".utf8).prefix(count)
    }

    private func image(_ path: String) throws -> Snapshot {
        let metadata = try ImageMetadata(file: meta ?? HandoverRun.descriptionPath(of: path))
        let machine = try MachineImage(file: path, metadata: metadata)
        for name in patches { try machine.apply(damage: name) }
        return try Importer.importMachine(machine)
    }
}
