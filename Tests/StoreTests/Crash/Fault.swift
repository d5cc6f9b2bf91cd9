import CSQLite
import Glibc

/// A call below SQLite, or of the store itself, that can fail.
enum CallKind {
    case open, read, write, truncate, sync, fileSize, lock, delete, access
    /// The store's own.
    case create, setMode, name

    /// Whether the call asks for room.
    var needsRoom: Bool {
        switch self {
        case .open, .write, .create, .name: true
        case .read, .truncate, .sync, .fileSize, .lock, .delete, .access, .setMode: false
        }
    }

    /// What the VFS answers for a call that fails.
    func code(_ error: Int32) -> Int32 {
        switch self {
        case .open: SQLITE_CANTOPEN
        case .read: SQLITE_IOERR | (1 << 8)
        case .write: error == ENOSPC ? SQLITE_FULL : SQLITE_IOERR | (3 << 8)
        case .sync: SQLITE_IOERR | (4 << 8)
        case .truncate: SQLITE_IOERR | (6 << 8)
        case .fileSize: SQLITE_IOERR | (7 << 8)
        case .delete: SQLITE_IOERR | (10 << 8)
        case .access: SQLITE_IOERR | (13 << 8)
        case .lock: SQLITE_IOERR | (15 << 8)
        case .create, .setMode, .name: SQLITE_IOERR
        }
    }
}

/// Which calls of an operation fail.
struct Fault: Hashable, CustomStringConvertible {
    /// Counted from 1 over the calls that ``error`` can happen to.
    var ordinals: Set<Int>
    /// The last of them is the first of all that follow.
    var isSticky = false
    /// `EIO` or `ENOSPC`.
    var error: Int32

    func hits(_ ordinal: Int) -> Bool {
        ordinals.contains(ordinal) || (isSticky && ordinal > ordinals.max() ?? .max)
    }

    var description: String {
        let numbers = ordinals.sorted().map(String.init).joined(separator: " and ")
        return "\(error == EIO ? "EIO" : "ENOSPC") at call \(numbers)\(isSticky ? " and after" : "")"
    }
}
