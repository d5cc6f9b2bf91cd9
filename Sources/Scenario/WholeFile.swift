import Glibc

/// A small input file, read whole; links are not followed.
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
}
