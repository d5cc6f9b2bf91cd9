import CSQLite
import Glibc

/// A file of a recorded directory as SQLite holds it: begins as every `sqlite3_file` does.
struct WrappedFile {
    /// What is behind it.
    final class Content {
        let recorder: CallRecorder
        /// The real layer's file.
        let behind: UnsafeMutablePointer<sqlite3_file>
        let inode: Int
        var syncsDirectory: Bool

        init(
            recorder: CallRecorder, behind: UnsafeMutablePointer<sqlite3_file>, inode: Int, syncsDirectory: Bool
        ) {
            self.recorder = recorder
            self.behind = behind
            self.inode = inode
            self.syncsDirectory = syncsDirectory
        }

        var methods: sqlite3_io_methods { behind.pointee.pMethods.pointee }
    }

    private var base: sqlite3_file
    private let content: Unmanaged<Content>

    init(_ content: Content) {
        base = sqlite3_file(pMethods: Self.methods)
        self.content = .passRetained(content)
    }

    private static func pointer(_ file: UnsafeMutablePointer<sqlite3_file>?) -> UnsafeMutablePointer<WrappedFile> {
        UnsafeMutableRawPointer(file!).assumingMemoryBound(to: WrappedFile.self)
    }

    private static func content(_ file: UnsafeMutablePointer<sqlite3_file>?) -> Content {
        pointer(file).pointee.content.takeUnretainedValue()
    }

    /// Version 1: no shared memory, no mapping.
    private nonisolated(unsafe) static let methods: UnsafePointer<sqlite3_io_methods> = {
        var methods = sqlite3_io_methods()
        methods.iVersion = 1
        methods.xClose = { close($0) }
        methods.xRead = { file, buffer, count, offset in
            let content = content(file)
            if content.recorder.fails(.read) { return content.recorder.code(.read) }
            return content.methods.xRead(content.behind, buffer, count, offset)
        }
        methods.xWrite = { write($0, $1, Int($2), $3) }
        methods.xTruncate = { file, count in
            let content = content(file)
            if content.recorder.fails(.truncate) { return content.recorder.code(.truncate) }
            let code = content.methods.xTruncate(content.behind, count)
            if code == SQLITE_OK { content.recorder.add(.truncate(inode: content.inode, count: Int(count))) }
            return code
        }
        methods.xSync = { sync($0, $1) }
        methods.xFileSize = { file, size in
            let content = content(file)
            if content.recorder.fails(.fileSize) { return content.recorder.code(.fileSize) }
            return content.methods.xFileSize(content.behind, size)
        }
        methods.xLock = { file, level in
            let content = content(file)
            if content.recorder.fails(.lock) { return content.recorder.code(.lock) }
            return content.methods.xLock(content.behind, level)
        }
        methods.xUnlock = { content($0).methods.xUnlock(content($0).behind, $1) }
        methods.xCheckReservedLock = { content($0).methods.xCheckReservedLock(content($0).behind, $1) }
        methods.xFileControl = { control($0, $1, $2) }
        methods.xSectorSize = { content($0).methods.xSectorSize(content($0).behind) }
        methods.xDeviceCharacteristics = { content($0).methods.xDeviceCharacteristics(content($0).behind) }
        let place = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        place.initialize(to: methods)
        return UnsafePointer(place)
    }()

    private static func close(_ file: UnsafeMutablePointer<sqlite3_file>?) -> Int32 {
        let content = content(file)
        let code = content.methods.xClose(content.behind)
        content.behind.deallocate()
        if let index = content.recorder.openFiles.lastIndex(of: content.inode) {
            content.recorder.openFiles.remove(at: index)
        }
        pointer(file).pointee.content.release()
        file?.pointee.pMethods = nil
        return code
    }

    private static func write(
        _ file: UnsafeMutablePointer<sqlite3_file>?, _ buffer: UnsafeRawPointer?, _ count: Int, _ offset: sqlite3_int64
    ) -> Int32 {
        let content = content(file)
        // A write that fails has done half of its work, in whole sectors.
        let isFailure = content.recorder.fails(.write)
        let done = isFailure ? count / 2 / Medium.sectorBytes * Medium.sectorBytes : count
        if done > 0 {
            let code = content.methods.xWrite(content.behind, buffer, Int32(done), offset)
            guard code == SQLITE_OK else { return code }
            let bytes = [UInt8](UnsafeRawBufferPointer(start: buffer, count: done))
            content.recorder.add(.write(inode: content.inode, offset: Int(offset), bytes: bytes))
        }
        return isFailure ? content.recorder.code(.write) : SQLITE_OK
    }

    private static func sync(_ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32) -> Int32 {
        let content = content(file)
        if content.recorder.fails(.sync) {
            content.recorder.add(.failedSync(inode: content.inode))
            return content.recorder.code(.sync)
        }
        let code = content.methods.xSync(content.behind, flags)
        guard code == SQLITE_OK else { return code }
        content.recorder.add(.sync(inode: content.inode))
        if content.syncsDirectory {
            content.syncsDirectory = false
            content.recorder.add(.syncDirectory)
        }
        return code
    }

    private static func control(
        _ file: UnsafeMutablePointer<sqlite3_file>?, _ operation: Int32, _ argument: UnsafeMutableRawPointer?
    ) -> Int32 {
        let content = content(file)
        if operation == SQLITE_FCNTL_PRAGMA, let argument {
            // Name and value of a pragma that SQLite is about to obey. The value's memory is SQLite's own copy: writing
            // another one over it switches the connection to a mode that the store would never choose.
            let strings = argument.assumingMemoryBound(to: UnsafeMutablePointer<CChar>?.self)
            if let name = strings[1], let value = strings[2],
                let other = content.recorder.pragmas[String(cString: name)]
            {
                precondition(other.utf8.count <= strlen(value), "no room for \(other)")
                strcpy(value, other)
            }
        }
        return content.methods.xFileControl(content.behind, operation, argument)
    }
}
