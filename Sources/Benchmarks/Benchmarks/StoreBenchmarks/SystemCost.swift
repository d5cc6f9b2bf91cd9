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

    /// A kernel that does not count writes, or `fsync` not being this program's: no figure can be had.
    struct Uncounted: Error, CustomStringConvertible {
        var description: String { "writes or syncs are not counted: /proc/self/io is needed" }
    }

    /// What `work` asked for.
    static func of(_ work: () throws -> Void) throws -> SystemCost {
        let before = now
        try work()
        let after = now
        let cost = SystemCost(
            syncs: after.syncs - before.syncs, writes: after.writes - before.writes, bytes: after.bytes - before.bytes)
        guard cost.syncs > 0, cost.writes > 0, cost.bytes > 0 else { throw Uncounted() }
        return cost
    }

    /// Since the process began.
    private static var now: SystemCost {
        var cost = SystemCost(syncs: Int(ref_sync_count()))
        for line in HostMachine.lines(of: "/proc/self/io") {
            let parts = line.split(separator: " ")
            guard parts.count == 2, let value = Int(parts[1]) else { continue }
            if parts[0] == "syscw:" { cost.writes = value }
            if parts[0] == "wchar:" { cost.bytes = value }
        }
        return cost
    }
}
