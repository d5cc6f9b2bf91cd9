import Glibc
import SQLite

/// The whole content of a file that cannot be trusted, read through our own descriptor into memory of SQLite's allocator.
struct FileBytes: ~Copyable {
    /// The largest file that is read.
    static let limit: UInt64 = 8 << 30

    let base: UnsafeMutableRawPointer
    let count: Int

    private init(base: UnsafeMutableRawPointer, count: Int) {
        self.base = base
        self.count = count
    }

    deinit { Connection.free(base) }

    /// Gives the memory away: to SQLite, which frees it.
    consuming func take() -> (UnsafeMutableRawPointer, Int) {
        let result = (base, count)
        discard self
        return result
    }

    /// The same bytes once more.
    func copy() throws(StoreError) -> FileBytes {
        guard let memory = Connection.allocate(max(count, 1)) else {
            throw .io(operation: "allocate", path: "", errno: ENOMEM)
        }
        memory.copyMemory(from: base, byteCount: count)
        return FileBytes(base: memory, count: count)
    }

    /// Reads `path`: a regular file that is no symbolic link and that nobody is writing.
    ///
    /// - Parameters:
    ///   - beforeReading: called between the first look at the file and its first byte (a place for others to meddle).
    ///   - afterReading: called between its last byte and the last look.
    static func read(
        _ path: FilePath, beforeReading: () -> Void = {}, afterReading: () -> Void = {}
    ) throws(StoreError) -> FileBytes {
        guard let before = try path.status() else { throw .cannotOpen(path: path.string, errno: ENOENT) }
        if before.isSymbolicLink { throw .symbolicLink(path: path.string) }
        guard before.isRegular else { throw .notARegularFile(path: path.string) }
        guard !HeldFiles.shared.contains(before.identity) else { throw .heldHere(path: path.string) }
        var file = try FileDescriptor(path: path.string, flags: O_RDONLY | O_NONBLOCK)
        file.identity = before.identity
        let status = try file.status()
        guard status.isRegular, status.identity == before.identity else { throw .notARegularFile(path: path.string) }
        let size = UInt64(clamping: status.st_size)
        guard size <= limit else { throw .tooLarge(path: path.string, bytes: size, limit: limit) }
        guard !(try file.isLockedElsewhere()) else { throw .heldByEngine(path: path.string) }
        // Since it was looked at: whoever holds a file had it locked before it had a byte.
        guard !HeldFiles.shared.contains(status.identity) else { throw .heldHere(path: path.string) }
        guard let memory = Connection.allocate(max(Int(size), 1)) else {
            throw .io(operation: "allocate", path: path.string, errno: ENOMEM)
        }
        let bytes = FileBytes(base: memory, count: Int(size))
        let room = UnsafeMutableRawBufferPointer(start: memory, count: Int(size))
        HugePages.advise(room)
        beforeReading()
        let read = try file.read(into: room)
        afterReading()
        // A live file can tear while it is read: nobody may hold it before or after.
        guard read == Int(size), !(try file.isLockedElsewhere()) else { throw .heldByEngine(path: path.string) }
        return bytes
    }
}
