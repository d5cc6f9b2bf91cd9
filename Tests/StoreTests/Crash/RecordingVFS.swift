import CSQLite
import Glibc
import Synchronization

/// SQLite's file system layer with a recorder between: the files of a recorded directory go through the methods below,
/// all others are the real layer's own.
///
/// The real layer gives different files different methods, so that a wrapped file needs a `sqlite3_file` of its own.
enum RecordingVFS {
    /// By directory.
    static let recorders = Mutex<[String: CallRecorder]>([:])

    /// Makes it the layer of every connection that names none. Once; it stays.
    static func install() { precondition(registered == SQLITE_OK, "sqlite3_vfs_register") }

    private nonisolated(unsafe) static let real: UnsafeMutablePointer<sqlite3_vfs> = sqlite3_vfs_find(nil)!

    private static let registered: Int32 = {
        let layer = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        layer.initialize(to: real.pointee)
        layer.pointee.zName = UnsafePointer(strdup("recording"))
        layer.pointee.szOsFile = max(real.pointee.szOsFile, Int32(MemoryLayout<WrappedFile>.size))
        layer.pointee.xOpen = { _, name, file, flags, outFlags in open(name, file, flags, outFlags) }
        layer.pointee.xDelete = { _, name, syncs in delete(name, syncs) }
        layer.pointee.xAccess = { _, name, flags, result in
            if let recorder = recorder(of: name), recorder.fails(.access) { return recorder.code(.access) }
            return real.pointee.xAccess(real, name, flags, result)
        }
        return sqlite3_vfs_register(layer, 1)
    }()

    private static func recorder(of name: UnsafePointer<CChar>?) -> CallRecorder? {
        guard let name else { return nil }
        let path = String(cString: name)
        guard let slash = path.lastIndex(of: "/") else { return nil }
        return recorders.withLock { $0[String(path[..<slash])] }
    }

    private static func open(
        _ name: UnsafePointer<CChar>?, _ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32,
        _ outFlags: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        guard let recorder = recorder(of: name), let name, let file, let own = recorder.name(String(cString: name))
        else { return real.pointee.xOpen(real, name, file, flags, outFlags) }
        file.pointee.pMethods = nil
        if recorder.fails(.open) { return recorder.code(.open) }
        let behind = UnsafeMutableRawPointer.allocate(byteCount: Int(real.pointee.szOsFile), alignment: 16)
            .assumingMemoryBound(to: sqlite3_file.self)
        memset(behind, 0, Int(real.pointee.szOsFile))
        let code = real.pointee.xOpen(real, name, behind, flags, outFlags)
        guard code == SQLITE_OK else {
            behind.deallocate()
            return code
        }
        let (inode, isNew) = recorder.inode(own)
        recorder.openFiles.append(inode)
        let wrapped = WrappedFile.Content(
            recorder: recorder, behind: behind, inode: inode,
            // The real layer syncs the directory with the first sync of a journal that it has created.
            syncsDirectory: isNew && flags & SQLITE_OPEN_MAIN_JOURNAL != 0)
        UnsafeMutableRawPointer(file).assumingMemoryBound(to: WrappedFile.self).initialize(to: WrappedFile(wrapped))
        return SQLITE_OK
    }

    private static func delete(_ name: UnsafePointer<CChar>?, _ syncs: Int32) -> Int32 {
        guard let recorder = recorder(of: name), let name, let own = recorder.name(String(cString: name)) else {
            return real.pointee.xDelete(real, name, syncs)
        }
        if recorder.fails(.delete) { return recorder.code(.delete) }
        let code = real.pointee.xDelete(real, name, syncs)
        recorder.unlinked(own)
        if code == SQLITE_OK, syncs != 0 { recorder.add(.syncDirectory) }
        return code
    }
}
