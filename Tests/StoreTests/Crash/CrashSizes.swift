import Foundation

/// How much the crash suites do: `DOMSTORE_CRASH` is `ci` or `soak`; without it, what a debug build does in seconds.
struct CrashSizes {
    /// Every how many-th point of an operation is one to die at.
    var prefixStride = 1
    /// A write is cut off behind each of its sectors, not only here and there.
    var everySector = false
    /// Every how many-th state with a hot journal is recovered with a crash at every call of the recovery.
    var recoveryStride: Int
    /// Torn, dropped and reordered sectors, over all operations.
    var torn: Int
    /// At how many points of the recoveries of torn states an operation's recoveries die, about.
    var tornRecovery = 0
    /// Power cuts after a success, for each operation.
    var powerCuts: Int
    /// Every how many-th call of an operation fails.
    var faultStride = 1
    /// Pairs of calls of an operation that fail, too, at most.
    var faultPairs = 0
    /// Flips of a sealed store's bytes.
    var flips: Int

    static let current: CrashSizes =
        switch ProcessInfo.processInfo.environment["DOMSTORE_CRASH"] {
        case "ci": CrashSizes(recoveryStride: 40, torn: 5_000, powerCuts: 1_000, flips: 1_000)
        case "soak":
            CrashSizes(
                everySector: true, recoveryStride: 1, torn: 1_000_000, tornRecovery: 20_000, powerCuts: 20_000,
                faultPairs: 10_000,
                flips: 20_000)
        default:
            CrashSizes(
                prefixStride: 23, recoveryStride: 8, torn: 200, powerCuts: 30, faultStride: 29, flips: 50)
        }

    /// Points of writes and recoveries that there must be, below what there are.
    var leastPoints: Int { prefixStride > 1 ? 50 : everySector ? 100_000 : 2_000 }

    /// `DOMSTORE_TEST_SEED`, or one that is new for each run.
    static let seed: UInt64 =
        ProcessInfo.processInfo.environment["DOMSTORE_TEST_SEED"].flatMap { UInt64($0) }
        ?? UInt64.random(in: 0...UInt64(UInt32.max))
}
