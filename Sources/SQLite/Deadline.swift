import CSQLite
import Glibc

/// When a connection's statements must have ended, on the monotonic clock.
struct Deadline {
    /// Nanoseconds of `CLOCK_MONOTONIC`; `nil`: never.
    var nanoseconds: UInt64?

    var hasPassed: Bool {
        guard let nanoseconds else { return false }
        return Self.now() >= nanoseconds
    }

    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}

extension Connection {
    /// Makes every statement that runs `seconds` from now fail with `SQLITE_INTERRUPT`; `nil` lifts the limit.
    ///
    /// For files that cannot be trusted: a b-tree bent into a circle must not hold the program for ever.
    public borrowing func setDeadline(secondsFromNow seconds: UInt64?) {
        guard let seconds else {
            deadline.pointee.nanoseconds = nil
            sqlite3_progress_handler(handle, 0, nil, nil)
            return
        }
        deadline.pointee.nanoseconds = Deadline.now() &+ seconds &* 1_000_000_000
        sqlite3_progress_handler(
            handle, 10_000,
            { context in
                guard let context else { return 0 }
                return context.assumingMemoryBound(to: Deadline.self).pointee.hasPassed ? 1 : 0
            }, deadline)
    }
}
