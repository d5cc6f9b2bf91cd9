import Foundation

/// How much the crash suites do: `DOMSTORE_CRASH` is `ci` or `soak`; without it, what a debug build does in seconds.
struct CrashSizes {
    /// Torn, dropped and reordered sectors, over all operations.
    var torn: Int
    /// Power cuts after a success, for each operation.
    var powerCuts: Int
    /// Every how many-th state with a hot journal is recovered with a crash at every call of the recovery.
    var recoveryStride: Int
    /// Every how many-th call of an operation fails.
    var faultStride: Int
    /// Pairs of calls of an operation that fail, too, at most.
    var faultPairs: Int
    /// Flips of a sealed store's bytes.
    var flips: Int

    static let current: CrashSizes =
        switch ProcessInfo.processInfo.environment["DOMSTORE_CRASH"] {
        case "ci":
            CrashSizes(
                torn: 5_000, powerCuts: 1_000, recoveryStride: 40, faultStride: 1, faultPairs: 0, flips: 1_000)
        case "soak":
            CrashSizes(
                torn: 1_000_000, powerCuts: 20_000, recoveryStride: 1, faultStride: 1, faultPairs: 10_000,
                flips: 20_000)
        default:
            CrashSizes(torn: 300, powerCuts: 50, recoveryStride: 400, faultStride: 7, faultPairs: 0, flips: 100)
        }

    /// `DOMSTORE_TEST_SEED`, or one that is new for each run.
    static let seed: UInt64 =
        ProcessInfo.processInfo.environment["DOMSTORE_TEST_SEED"].flatMap { UInt64($0) }
        ?? UInt64.random(in: 0...UInt64(UInt32.max))
}
