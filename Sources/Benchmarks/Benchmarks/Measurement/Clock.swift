import Glibc

/// What a benchmark is timed by.
public enum Clock: Sendable {
    /// Time that this thread had a CPU: for work that never waits.
    case processor
    /// Time on the wall: for work that waits for a disk.
    case wall

    /// Nanoseconds since an unspecified moment.
    public var now: UInt64 {
        var time = timespec()
        clock_gettime(self == .processor ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
