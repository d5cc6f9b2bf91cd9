import CReference
import Measurement

/// What this process asked the kernel for: syncs, writes and their bytes.
struct SystemCost {
    /// Calls of fsync and fdatasync; the benchmark program counts its own.
    var syncs = 0
    /// Write calls of any kind (`syscw`).
    var writes = 0
    /// Bytes given to them (`wchar`).
    var bytes = 0

    /// Since the process began.
    static var now: SystemCost {
        var cost = SystemCost(syncs: Int(ref_sync_count()))
        for line in Machine.lines(of: "/proc/self/io") {
            let parts = line.split(separator: " ")
            guard parts.count == 2, let value = Int(parts[1]) else { continue }
            if parts[0] == "syscw:" { cost.writes = value }
            if parts[0] == "wchar:" { cost.bytes = value }
        }
        return cost
    }

    static func - (a: Self, b: Self) -> Self {
        SystemCost(syncs: a.syncs - b.syncs, writes: a.writes - b.writes, bytes: a.bytes - b.bytes)
    }
}
