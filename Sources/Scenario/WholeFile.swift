import Glibc

/// A small file, read or written whole; links are not followed.
public enum WholeFile {
    /// More than any scenario or description needs.
    static let limit = 64 << 20

    /// The bytes of `path`.
    ///
    /// - Throws: ``ScenarioError/io(operation:path:errno:)``; ``ScenarioError/unreadable(file:place:what:)`` for what is no
    ///   regular file, or too large.
    public static func read(_ path: String) throws(ScenarioError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ELOOP {
                throw .unreadable(file: path, place: "", what: "found a symbolic link; expected a regular file")
            }
            throw .io(operation: "open", path: path, errno: errno)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw .unreadable(file: path, place: "", what: "found no regular file; expected one")
        }
        guard status.st_size <= limit else {
            throw .unreadable(file: path, place: "", what: "found \(status.st_size) bytes; expected at most \(limit)")
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress! + done, $0.count - done, off_t(done))
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw .io(operation: "read", path: path, errno: errno)
            }
            if count == 0 { break }
            done += count
        }
        return Array(bytes.prefix(done))
    }

    /// Writes `bytes` to `path`: on the disk, with its name, when this returns.
    ///
    /// - Parameter replacing: takes the place of what is there, by a new file beside it; otherwise nothing may be there.
    /// - Throws: ``ScenarioError/io(operation:path:errno:)``. Nothing new is left, and what was there is as it was; but where
    ///   the last step failed, the sync of the directory: then it is there, and may be gone after a power failure.
    static func write(_ bytes: [UInt8], to path: String, replacing: Bool = false) throws(ScenarioError) {
        func require(_ isDone: Bool, _ operation: String, _ path: String) throws(ScenarioError) {
            guard isDone else { throw .io(operation: operation, path: path, errno: errno) }
        }
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        try require(directory >= 0, "open", folder)
        defer { close(directory) }
        let made = replacing ? "\(path).\(getpid()).new" : path
        let file = open(made, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
        try require(file >= 0, "create", made)
        defer { close(file) }
        do throws(ScenarioError) {
            var done = 0
            while done < bytes.count {
                let count = bytes.withUnsafeBytes { pwrite(file, $0.baseAddress! + done, $0.count - done, off_t(done)) }
                if count < 0, errno == EINTR { continue }
                if count == 0 { errno = ENOSPC }
                try require(count > 0, "write", made)
                done += count
            }
            try require(fsync(file) == 0, "sync", made)
            if replacing { try require(rename(made, path) == 0, "rename", path) }
        } catch {
            unlink(made)
            throw error
        }
        try require(fsync(directory) == 0, "sync", folder)
    }
}
