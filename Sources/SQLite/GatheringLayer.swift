import CSQLite
import Glibc

/// A file system layer over SQLite's default one that makes one write of several which follow each other in a database
/// file: SQLite writes page by page, and of the time of a large transaction that takes half.
///
/// What is gathered goes to the file before a sync, the word that comes where nothing is synced, or a lock given back; a
/// read or an end that concerns it finds it. So a sync promises what it always does, and the writes of a file keep their
/// order; of writes to two files SQLite relies on none that no sync stands between, for the disk may swap them as well. An
/// error of a gathered write is told by a later write or by the sync: by calls that SQLite rolls a transaction back after.
/// A journal's writes are not gathered: SQLite changes a page once its old content is written, and has to hear at once if it
/// is not.
public enum GatheringLayer {
    /// What a ``Connection`` names it by.
    public static let name: String = {
        precondition(registered == SQLITE_OK, "sqlite3_vfs_register")
        return "domstore-gathering"
    }()

    /// The default layer of the moment.
    private static var real: UnsafeMutablePointer<sqlite3_vfs> { sqlite3_vfs_find(nil) }

    private static let registered: Int32 = {
        let layer = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        layer.initialize(to: real.pointee)
        layer.pointee.pNext = nil
        layer.pointee.zName = UnsafePointer(strdup("domstore-gathering"))
        layer.pointee.szOsFile = Int32(MemoryLayout<GatheringFile>.size)
        layer.pointee.xOpen = { _, name, file, flags, outFlags in open(name, file, flags, outFlags) }
        layer.pointee.xDelete = { _, name, syncs in real.pointee.xDelete(real, name, syncs) }
        layer.pointee.xAccess = { _, name, flags, result in real.pointee.xAccess(real, name, flags, result) }
        layer.pointee.xFullPathname = { _, name, count, path in real.pointee.xFullPathname(real, name, count, path) }
        return sqlite3_vfs_register(layer, 0)
    }()

    private static func open(
        _ name: UnsafePointer<CChar>?, _ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32,
        _ outFlags: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        guard let file else { return SQLITE_MISUSE }
        let real = real
        file.pointee.pMethods = nil
        let bytes = Int(real.pointee.szOsFile)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 16)
        memset(memory, 0, bytes)
        let behind = memory.assumingMemoryBound(to: sqlite3_file.self)
        let code = real.pointee.xOpen(real, name, behind, flags, outFlags)
        guard code == SQLITE_OK else {
            memory.deallocate()
            return code
        }
        let isDatabase = flags & SQLITE_OPEN_MAIN_DB != 0
        let descriptor = isDatabase ? descriptor(of: behind, bytes, name) : -1
        UnsafeMutableRawPointer(file).assumingMemoryBound(to: GatheringFile.self)
            .initialize(to: GatheringFile(GatheredWrites(behind, gathers: isDatabase, descriptor: descriptor)))
        return SQLITE_OK
    }

    /// The descriptor that the file of the default layer has; -1 unless it is known to be that of `name`.
    private static func descriptor(
        of file: UnsafeMutablePointer<sqlite3_file>, _ bytes: Int, _ name: UnsafePointer<CChar>?
    ) -> Int32 {
        let descriptor = domstore_sqlite3_unix_descriptor(file, Int32(bytes))
        var (own, named) = (stat(), stat())
        guard let name, descriptor >= 0, fstat(descriptor, &own) == 0, stat(name, &named) == 0,
            own.st_dev == named.st_dev, own.st_ino == named.st_ino
        else { return -1 }
        return descriptor
    }
}

/// A file as SQLite holds it: begins as every `sqlite3_file` does.
private struct GatheringFile {
    private var base: sqlite3_file
    private let writes: Unmanaged<GatheredWrites>

    init(_ writes: GatheredWrites) {
        base = sqlite3_file(pMethods: Self.methods)
        self.writes = .passRetained(writes)
    }

    private static func writes(_ file: UnsafeMutablePointer<sqlite3_file>?) -> GatheredWrites {
        UnsafeMutableRawPointer(file!).assumingMemoryBound(to: GatheringFile.self).pointee.writes.takeUnretainedValue()
    }

    /// What was gathered is written, then the file behind is asked.
    private static func settled(
        _ file: UnsafeMutablePointer<sqlite3_file>?,
        _ body: (sqlite3_io_methods, UnsafeMutablePointer<sqlite3_file>) -> Int32
    ) -> Int32 {
        let writes = writes(file)
        let code = writes.flush()
        return code == SQLITE_OK ? body(writes.methods, writes.behind) : code
    }

    /// Version 1: no shared memory, no mapping.
    private nonisolated(unsafe) static let methods: UnsafePointer<sqlite3_io_methods> = {
        var methods = sqlite3_io_methods()
        methods.iVersion = 1
        methods.xClose = { file in
            let writes = writes(file)
            // Whatever becomes of what is left, which after a transaction is nothing: the file has to be closed.
            let left = writes.flush()
            let code = writes.methods.xClose(writes.behind)
            UnsafeMutableRawPointer(file!).assumingMemoryBound(to: GatheringFile.self).pointee.writes.release()
            file?.pointee.pMethods = nil
            return code == SQLITE_OK ? left : code
        }
        methods.xRead = { file, buffer, count, offset in writes(file).read(buffer, Int(count), offset) }
        methods.xWrite = { file, bytes, count, offset in writes(file).add(bytes, Int(count), offset) }
        methods.xTruncate = { file, count in writes(file).truncate(count) }
        methods.xSync = { file, flags in settled(file) { $0.xSync($1, flags) } }
        methods.xFileSize = { file, size in writes(file).size(size) }
        methods.xLock = { file, level in writes(file).methods.xLock(writes(file).behind, level) }
        methods.xUnlock = { file, level in settled(file) { $0.xUnlock($1, level) } }
        methods.xCheckReservedLock = { file, result in
            writes(file).methods.xCheckReservedLock(writes(file).behind, result)
        }
        // Of what SQLite tells a file this way it looks at the answer of the word before a sync alone, which comes where
        // nothing is synced, too.
        methods.xFileControl = { file, operation, argument in
            operation == SQLITE_FCNTL_SYNC
                ? settled(file) { $0.xFileControl($1, operation, argument) }
                : writes(file).methods.xFileControl(writes(file).behind, operation, argument)
        }
        methods.xSectorSize = { writes($0).methods.xSectorSize(writes($0).behind) }
        methods.xDeviceCharacteristics = { writes($0).methods.xDeviceCharacteristics(writes($0).behind) }
        let place = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        place.initialize(to: methods)
        return UnsafePointer(place)
    }()
}

/// The writes to one file that are not made yet: bytes that follow each other.
private final class GatheredWrites {
    /// The default layer's file.
    let behind: UnsafeMutablePointer<sqlite3_file>
    /// Whether it is a database.
    private let gathers: Bool
    /// At most so many bytes at a time, in whole pages: SQLite's own layer writes less than 128 KiB in one call, and takes a
    /// multiple of that for a full disk.
    private static let capacity = 31 * 4096
    /// Of the file, to tell the kernel of what is written; -1: not known.
    private let descriptor: Int32
    /// After so many bytes the kernel is told to write them to the disk: of a large transaction most is there by the time
    /// of its sync.
    private static let writeBack = 1 << 22
    /// Written since, one write after the other without a gap; what stands apart is left to the sync.
    private var told: Range<sqlite3_int64> = 0..<0
    private var buffer: UnsafeMutableRawPointer?
    private var start: sqlite3_int64 = 0
    private var count = 0

    init(_ behind: UnsafeMutablePointer<sqlite3_file>, gathers: Bool, descriptor: Int32) {
        self.behind = behind
        self.gathers = gathers
        self.descriptor = descriptor
    }

    deinit {
        behind.deallocate()
        buffer?.deallocate()
    }

    var methods: sqlite3_io_methods { behind.pointee.pMethods.pointee }

    /// The end of the gathered bytes, exclusive.
    private var end: sqlite3_int64 { start + sqlite3_int64(count) }

    func add(_ bytes: UnsafeRawPointer?, _ amount: Int, _ offset: sqlite3_int64) -> Int32 {
        guard gathers, let bytes else { return methods.xWrite(behind, bytes, Int32(amount), offset) }
        if offset != end || count + amount > Self.capacity {
            let code = flush()
            guard code == SQLITE_OK else { return code }
        }
        guard amount <= Self.capacity else { return methods.xWrite(behind, bytes, Int32(amount), offset) }
        let buffer = buffer ?? .allocate(byteCount: Self.capacity, alignment: 4096)
        self.buffer = buffer
        if count == 0 { start = offset }
        (buffer + count).copyMemory(from: bytes, byteCount: amount)
        count += amount
        return SQLITE_OK
    }

    func read(_ bytes: UnsafeMutableRawPointer?, _ amount: Int, _ offset: sqlite3_int64) -> Int32 {
        let last = offset + sqlite3_int64(amount)
        if count > 0, offset < end, start < last {
            if let buffer, let bytes, start <= offset, last <= end {
                bytes.copyMemory(from: buffer + Int(offset - start), byteCount: amount)
                return SQLITE_OK
            }
            let code = flush()
            guard code == SQLITE_OK else { return code }
        }
        let code = methods.xRead(behind, bytes, Int32(amount), offset)
        // What is gathered may lie behind the file's end, with a hole before it: a short read then.
        guard code == SQLITE_IOERR | 2 << 8, count > 0 else { return code }
        let flushed = flush()
        return flushed == SQLITE_OK ? methods.xRead(behind, bytes, Int32(amount), offset) : flushed
    }

    func size(_ result: UnsafeMutablePointer<sqlite3_int64>?) -> Int32 {
        let code = methods.xFileSize(behind, result)
        if code == SQLITE_OK, count > 0, let result { result.pointee = max(result.pointee, end) }
        return code
    }

    func truncate(_ size: sqlite3_int64) -> Int32 {
        if size <= start {
            count = 0
        } else {
            let code = flush()
            guard code == SQLITE_OK else { return code }
        }
        return methods.xTruncate(behind, size)
    }

    /// Writes what is gathered. After an error it is gone: no second try is made.
    func flush() -> Int32 {
        guard count > 0, let buffer else { return SQLITE_OK }
        defer { count = 0 }
        let code = methods.xWrite(behind, buffer, Int32(count), start)
        if code == SQLITE_OK, descriptor >= 0 { tell(start..<end) }
        return code
    }

    /// Begins to bring to the disk what was written in one row, once it is much. It may wait for room in the disk's queue, and
    /// promises nothing: a sync does.
    private func tell(_ written: Range<sqlite3_int64>) {
        told = told.upperBound == written.lowerBound ? told.lowerBound..<written.upperBound : written
        guard told.count >= Self.writeBack else { return }
        _ = domstore_begin_writing(descriptor, told.lowerBound, sqlite3_int64(told.count))
        told = told.upperBound..<told.upperBound
    }
}
