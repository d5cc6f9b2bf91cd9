import Dispatch
import Glibc
import Synchronization

/// Work on many trees of page tables, each by itself, on several cores.
package enum TreeWork {
    /// More wait for memory.
    private static let mostThreads = 8
    /// So many tables are read in the time that a thread takes to start.
    package static let concurrencyThreshold = 1024

    /// Threads that are worth it for `count` trees.
    package static func threads(for count: Int) -> Int {
        max(1, min(count, sysconf(Int32(_SC_NPROCESSORS_ONLN)), mostThreads))
    }

    /// `work` on each number below `count`, in any order, on so many threads at once; the results in the order of the numbers.
    package static func each<Result>(
        _ count: Int, threads: Int, _ work: (Int) -> Result
    ) -> [Result] {
        guard threads > 1, count > 1 else { return (0..<count).map(work) }
        let next = Atomic(0)
        return [Result?](unsafeUninitializedCapacity: count) { results, filled in
            results.initialize(repeating: nil)
            filled = count
            // Each thread writes the elements that it drew.
            nonisolated(unsafe) let results = results
            nonisolated(unsafe) let work = work
            DispatchQueue.concurrentPerform(iterations: min(threads, count)) { _ in
                while true {
                    let number = next.add(1, ordering: .relaxed).oldValue
                    guard number < count else { return }
                    results[number] = work(number)
                }
            }
        }.compactMap(\.self)
    }
}
