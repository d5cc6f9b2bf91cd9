import Foundation
import Testing

@testable import Store

@Suite("Held files")
struct HeldFilesTests {
    /// Whether this process has the lock that SQLite takes: asked by an open file of its own, for which a lock of its own
    /// process is another's.
    private static func isLocked(_ descriptor: Int32) -> Bool {
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_start = 0x4000_0000
        lock.l_len = 512
        let linuxOpenFileGetLock: Int32 = 36
        return fcntl(descriptor, linuxOpenFileGetLock, &lock) == 0 && lock.l_type != Int16(F_UNLCK)
    }

    @Test("A reader that opened a file before an engine of this process took it does not drop its lock")
    func lateClose() throws {
        let folder = try Folder()
        _ = FileManager.default.createFile(atPath: folder["a"], contents: Data([1]))
        let engine = open(folder["a"], O_RDWR)
        let probe = open(folder["a"], O_RDWR)
        defer { for descriptor in [engine, probe] { close(descriptor) } }
        let identity = try #require(try FilePath(folder["a"]).status()).identity
        func read(as identity: FileIdentity?) throws -> Bool {
            var reader = try FileDescriptor(path: folder["a"], flags: O_RDONLY)
            reader.identity = identity
            let held = try #require(HeldFile(identity ?? FileIdentity(device: 0, inode: 0)))
            var lock = flock()
            lock.l_type = Int16(F_WRLCK)
            lock.l_start = 0x4000_0000
            lock.l_len = 512
            try #require(fcntl(engine, F_SETLK, &lock) == 0)
            try #require(Self.isLocked(probe))
            _ = consume reader
            return withExtendedLifetime(held) { Self.isLocked(probe) }
        }
        #expect(try read(as: identity))
        // What happens without: POSIX locks go with any descriptor of the file.
        #expect(try !read(as: nil))
    }
}
