import Glibc

/// A file by its directory, whose links are resolved, and its own name, whose link is never followed.
struct FilePath: Sendable, Hashable {
    /// Absolute, without symbolic links.
    var directory: String
    var name: String

    /// Splits `path`; its directory must exist.
    init(_ path: String) throws(StoreError) {
        var parent = "."
        var name = path[...]
        if let slash = path.lastIndex(of: "/") {
            name = path[path.index(after: slash)...]
            parent = slash == path.startIndex ? "/" : String(path[..<slash])
        }
        guard !name.isEmpty, name != ".", name != ".." else { throw .notARegularFile(path: path) }
        guard let resolved = realpath(parent, nil) else { throw .cannotOpen(path: path, errno: errno) }
        defer { free(resolved) }
        self.directory = String(cString: resolved)
        self.name = String(name)
    }

    init(directory: String, name: String) {
        self.directory = directory
        self.name = name
    }

    var string: String { directory == "/" ? "/\(name)" : "\(directory)/\(name)" }

    /// The rollback journal that SQLite keeps beside the file.
    var journal: FilePath { FilePath(directory: directory, name: name + "-journal") }

    /// What stands at the path itself; `nil` when nothing does.
    func status() throws(StoreError) -> stat? {
        var status = stat()
        guard lstat(string, &status) == 0 else {
            if errno == ENOENT { return nil }
            throw .cannotOpen(path: string, errno: errno)
        }
        return status
    }

    /// Makes the directory's entries durable.
    func syncDirectory() throws(StoreError) {
        try FileDescriptor(path: directory, flags: O_RDONLY | O_DIRECTORY).sync()
    }

    /// Removes the file; it not being there is fine.
    func remove() throws(StoreError) {
        let isDone = FileCall.unlink(path: string).isAllowed && unlink(string) == 0
        guard isDone || errno == ENOENT else { throw .io(operation: "unlink", path: string, errno: errno) }
    }
}
