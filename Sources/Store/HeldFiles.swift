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

    private let files = Mutex<Set<FileIdentity>>([])

    func contains(_ identity: FileIdentity) -> Bool { files.withLock { $0.contains(identity) } }

    /// False when it is held already.
    func insert(_ identity: FileIdentity) -> Bool { files.withLock { $0.insert(identity).inserted } }

    func remove(_ identity: FileIdentity) { files.withLock { _ = $0.remove(identity) } }
}
