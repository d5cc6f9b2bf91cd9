import Glibc

/// The files of this process that readers are let at, written anew for each input: in memory, where there is such a place.
enum ScratchStore {
    static let folder: String = {
        let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        let folder = "\(parent)/domstore-fuzz.\(getpid())"
        precondition(mkdir(folder, 0o700) == 0, "cannot make \(folder)")
        atexit { ScratchStore.remove() }
        return folder
    }()

    static var path: String { folder + "/1.domstore" }
    static var journal: String { path + "-journal" }
    static var copy: String { folder + "/copy" }

    private static func remove() {
        for path in [path, journal, copy] { unlink(path) }
        rmdir(folder)
    }

    /// Writes the generation, and its journal when there is one.
    static func write(_ bytes: [UInt8], journal: [UInt8]?) {
        write(bytes, to: path)
        if let journal { write(journal, to: self.journal) } else { unlink(self.journal) }
    }

    private static func write(_ bytes: [UInt8], to path: String) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        precondition(descriptor >= 0, "cannot write \(path)")
        defer { close(descriptor) }
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        precondition(count == bytes.count, "cannot write \(path)")
    }

    /// A whole file, which is there.
    static func bytes(at path: String) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        precondition(descriptor >= 0, "cannot read \(path)")
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Int(lseek(descriptor, 0, SEEK_END)))
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        precondition(count == bytes.count, "cannot read \(path)")
        return bytes
    }
}
