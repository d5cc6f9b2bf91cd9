import Glibc

/// A change that the store makes to a directory, a mode or a medium by itself, not through SQLite.
enum FileCall: Sendable, Hashable {
    /// A new empty file.
    case create(path: String)
    /// These bytes at the beginning of a file. Told to an observer only: without one nobody needs the copy.
    case write(path: String, bytes: [UInt8])
    /// `fsync` of a file or a directory.
    case sync(path: String)
    case setMode(path: String, mode: mode_t)
    case unlink(path: String)
    case link(from: String, to: String)
    case rename(from: String, to: String)

    /// Is told of each call before it is made. `nil` but in tests of crashes and of failing disks.
    @TaskLocal static var observer: (any FileCallObserver)?

    /// False, with `errno` set, when an observer wants the call to fail: it is not made then.
    var isAllowed: Bool {
        guard let observer = Self.observer else { return true }
        let code = observer.before(self)
        errno = code
        return code == 0
    }
}

/// Sees the store's own calls in the order in which they are made.
protocol FileCallObserver: Sendable {
    /// The `errno` that `call` fails with; 0 lets it go on.
    func before(_ call: FileCall) -> Int32
}
