import Glibc
import IOMMUModel
import PageTables

/// A regular file opened for reading without following a link; closed when it goes.
struct InputFile: ~Copyable {
    let path: String
    let descriptor: Int32
    /// Its size when it was opened.
    let byteCount: UInt64

    /// - Parameter writable: Open for writing too (a memory file that stays shared).
    init(_ path: String, writable: Bool = false) throws(ImportError) {
        let access = writable ? O_RDWR : O_RDONLY
        // Non-blocking, so that a named pipe is refused and not waited for.
        let descriptor = open(path, access | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw errno == ELOOP ? .symbolicLink(path: path) : .cannotOpen(path: path, errno: errno)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let failure = errno
            close(descriptor)
            throw .io(operation: "fstat", path: path, errno: failure)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw .notARegularFile(path: path)
        }
        self.path = path
        self.descriptor = descriptor
        byteCount = UInt64(clamping: status.st_size)
    }

    deinit { close(descriptor) }

    /// All bytes, at most `limit`.
    func bytes(limit: UInt64) throws(ImportError) -> [UInt8] {
        guard byteCount <= limit else { throw .tooLarge(path: path, bytes: byteCount, limit: limit) }
        var bytes = [UInt8](repeating: 0, count: Int(byteCount))
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { buffer in
                pread(descriptor, buffer.baseAddress! + filled, buffer.count - filled, filled)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .io(operation: "read", path: path, errno: errno) }
            if count == 0 { break }
            filled += count
        }
        bytes.removeLast(bytes.count - filled)
        return bytes
    }

    /// The whole file as a mapping; it must not be empty.
    func map(_ sharing: ImageSharing) throws(ImportError) -> MappedRegion {
        do throws(MemoryError) {
            switch sharing {
            case .privateCopy: return try .privateFile(descriptor, bytes: byteCount)
            case .shared: return try .sharedFile(descriptor, bytes: byteCount)
            }
        } catch {
            throw .memory(path: path, error)
        }
    }
}

/// Who sees what is written to the memory of an image.
public enum ImageSharing: Sendable, Hashable {
    /// Only this process; the file never changes.
    case privateCopy
    /// The file: what is written survives this process.
    case shared
}
