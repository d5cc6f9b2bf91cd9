import Glibc
import Synchronization

/// A file by what does not change when it is renamed.
struct FileIdentity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64
}

/// The files that this process holds open for writing.
///
/// Closing *any* descriptor of a file drops every POSIX lock that the process has on it. So what is held here must not be
/// opened a second time, not even to look.
final class HeldFiles: Sendable {
    static let shared = HeldFiles()

    private struct Files {
        var held: Set<FileIdentity> = []
        /// Descriptors that would take the locks with them: closed when the file is no longer held.
        var waiting: [FileIdentity: [Int32]] = [:]
    }

    private let files = Mutex(Files())

    func contains(_ identity: FileIdentity) -> Bool { files.withLock { $0.held.contains(identity) } }

    /// False when it is held already.
    func insert(_ identity: FileIdentity) -> Bool { files.withLock { $0.held.insert(identity).inserted } }

    func remove(_ identity: FileIdentity) {
        files.withLock {
            $0.held.remove(identity)
            for descriptor in $0.waiting.removeValue(forKey: identity) ?? [] { _ = Glibc.close(descriptor) }
        }
    }

    /// Closes a descriptor of a file that may have come to be held since it was opened.
    func close(_ descriptor: Int32, of identity: FileIdentity) {
        files.withLock {
            if $0.held.contains(identity) {
                $0.waiting[identity, default: []].append(descriptor)
            } else {
                _ = Glibc.close(descriptor)
            }
        }
    }
}
