import Glibc

/// An open file of this process, closed when the value ends. Not for files that SQLite holds (``HeldFiles``).
struct FileDescriptor: ~Copyable {
    let number: Int32
    let path: String
    /// Of a file that another thread may come to hold: its locks outlive this descriptor (``HeldFiles``).
    var identity: FileIdentity?

    /// Opens `path`; a symbolic link at its end is refused.
    init(path: String, flags: Int32, mode: mode_t = 0) throws(StoreError) {
        var number: Int32 = -1
        if flags & O_CREAT == 0 || FileCall.create(path: path).isAllowed {
            let flags = flags | O_NOFOLLOW | O_CLOEXEC
            repeat { number = Glibc.open(path, flags, mode) } while number < 0 && errno == EINTR
        }
        guard number >= 0 else {
            switch errno {
            case ELOOP: throw .symbolicLink(path: path)
            case EEXIST: throw .alreadyExists(path: path)
            default: throw .cannotOpen(path: path, errno: errno)
            }
        }
        self.number = number
        self.path = path
    }

    deinit {
        if let identity { HeldFiles.shared.close(number, of: identity) } else { _ = Glibc.close(number) }
    }

    borrowing func status() throws(StoreError) -> stat {
        var status = stat()
        guard fstat(number, &status) == 0 else { throw .io(operation: "fstat", path: path, errno: errno) }
        return status
    }

    borrowing func sync() throws(StoreError) {
        guard FileCall.sync(path: path).isAllowed, fsync(number) == 0 else {
            throw .io(operation: "fsync", path: path, errno: errno)
        }
    }

    borrowing func setMode(_ mode: mode_t) throws(StoreError) {
        guard FileCall.setMode(path: path, mode: mode).isAllowed, fchmod(number, mode) == 0 else {
            throw .io(operation: "fchmod", path: path, errno: errno)
        }
    }

    /// Fills `buffer` from the beginning of the file; the number of bytes that were there. The second half of a large one is
    /// read by a thread of its own meanwhile.
    borrowing func read(into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) -> Int {
        guard Meanwhile<FilePart>.isWorthIt(bytes: buffer.count) else {
            return try FilePart(number, buffer, at: 0).byteCount(path)
        }
        let middle = buffer.count / 2
        nonisolated(unsafe) let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[middle...])
        let second = Meanwhile { [number] in FilePart(number, rest, at: middle) }
        let first = FilePart(number, UnsafeMutableRawBufferPointer(rebasing: buffer[..<middle]), at: 0)
        let last = second.wait()
        let count = try first.byteCount(path)
        return count < middle ? count : count + (try last.byteCount(path))
    }

    /// Writes all of `bytes` from the beginning of the file.
    borrowing func write(_ bytes: UnsafeRawBufferPointer) throws(StoreError) {
        guard let base = bytes.baseAddress else { return }
        if FileCall.observer != nil, !FileCall.write(path: path, bytes: Array(bytes)).isAllowed {
            throw .io(operation: "write", path: path, errno: errno)
        }
        var done = 0
        while done < bytes.count {
            let count = pwrite(number, base + done, bytes.count - done, off_t(done))
            if count < 0 {
                if errno == EINTR { continue }
                throw .io(operation: "write", path: path, errno: errno)
            }
            done += count
        }
    }

    /// True when another process writes, or is about to: it has a write lock on the bytes that SQLite locks. Whoever reads
    /// has a read lock, which keeps nobody from reading.
    borrowing func isLockedElsewhere() throws(StoreError) -> Bool {
        var lock = flock()
        lock.l_type = Int16(F_RDLCK)
        lock.l_whence = Int16(SEEK_SET)
        lock.l_start = 0x4000_0000
        lock.l_len = 512
        guard fcntl(number, F_GETLK, &lock) == 0 else { throw .io(operation: "fcntl", path: path, errno: errno) }
        return lock.l_type != Int16(F_UNLCK)
    }
}

extension stat {
    var isRegular: Bool { st_mode & S_IFMT == S_IFREG }
    var isDirectory: Bool { st_mode & S_IFMT == S_IFDIR }
    var isSymbolicLink: Bool { st_mode & S_IFMT == S_IFLNK }
    var identity: FileIdentity { FileIdentity(device: UInt64(st_dev), inode: UInt64(st_ino)) }
}
