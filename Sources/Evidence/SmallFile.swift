import Glibc

/// A small file that cannot be trusted: read whole, or refused.
enum SmallFile {
    /// Reads `path`, a regular file of at most `limit` bytes that is no symbolic link.
    static func read(_ path: String, limit: Int) throws(SealCodeError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ELOOP { throw .notAKey(path: path, what: "a symbolic link; expected the file itself") }
            throw .unreadable(path: path, errno: errno)
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .unreadable(path: path, errno: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .notAKey(path: path, what: "no regular file; expected one")
        }
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        var count = 0
        while count < bytes.count {
            let read = bytes.withUnsafeMutableBytes {
                pread(file, $0.baseAddress! + count, $0.count - count, off_t(count))
            }
            if read < 0, errno == EINTR { continue }
            guard read >= 0 else { throw .unreadable(path: path, errno: errno) }
            if read == 0 { break }
            count += read
        }
        guard count <= limit else {
            throw .notAKey(path: path, what: "more than \(limit) bytes; expected at most that")
        }
        return Array(bytes[..<count])
    }
}
