import Dispatch
import Glibc
import IOMMUModel
import PageTables
import Snapshot
import Synchronization

/// The tables of one domain, read and recorded, and what they translate. The tree itself is not kept.
struct TableScan: Sendable {
    let pages: PageSet
    /// Ascending.
    let areas: [TranslatedRun]
    /// Pages that leaves map and that look like tables: see ``LevelEvidence``. Empty unless the tables were read with a number
    /// of levels that they do not have.
    let mappedTables: [PhysicalAddress]
    private let budget: Budget
    let spent: Budget

    /// What may be done for one domain, or all.
    struct Budget: Hashable {
        /// Tables read.
        var pages: Int
        /// Pieces visited, not areas told: where one tree exhausts it, the next ones get none, however little it maps.
        var runs: Int

        static func -= (left: inout Budget, spent: Budget) {
            left.pages -= spent.pages
            left.runs -= spent.runs
        }
    }

    /// Reads the tables of `stage`. Defects are found again from the recorded pages: they are not kept.
    init(_ stage: TranslationStage, memory: MemoryView, budget: Budget) {
        var pages = PageSetBuilder()
        let tree = Walker.scan(
            stage, memory: memory, budget: ScanBudget(pages: budget.pages, runs: budget.runs, defects: 0)
        ) { table in
            pages.add(address: table.page, level: UInt8(table.level), words: table.words, ends: table.ends)
        }
        self.pages = pages.finish()
        let evidence = LevelEvidence(tree, memory: memory)
        mappedTables = evidence.isConvincing ? evidence.tables : []
        var areas: [TranslatedRun] = []
        var runs = tree.runCursor()
        while let (run, _) = runs.next() { areas.append(run) }
        self.areas = areas
        self.budget = budget
        spent = Budget(pages: tree.nodeCount, runs: runs.visited)
    }

    /// True when a scan with `budget` would have come to the same.
    private func isValid(for budget: Budget) -> Bool {
        if budget == self.budget { return true }
        let least = Budget(pages: min(budget.pages, self.budget.pages), runs: min(budget.runs, self.budget.runs))
        return spent.pages < least.pages && spent.runs < least.runs
    }

    /// The tables of each of `stages`, all of them together within `budget`, the first ones first. On all cores where it is
    /// worth it; what comes out is the same.
    static func all(_ stages: [TranslationStage], memory: MemoryView, budget: Budget) -> [TableScan] {
        var scans: [TableScan] = []
        var left = budget
        while scans.count < stages.count, budget.pages &- left.pages < concurrencyThreshold {
            scans.append(TableScan(stages[scans.count], memory: memory, budget: left))
            left -= scans[scans.count - 1].spent
        }
        let rest = stages[scans.count...]
        for (stage, scan) in zip(rest, concurrent(rest, memory: memory, budget: left)) {
            // Which scans were over when another began is chance.
            scans.append(scan.isValid(for: left) ? scan : TableScan(stage, memory: memory, budget: left))
            left -= scans[scans.count - 1].spent
        }
        return scans
    }

    /// So many tables are read in the time that a thread takes to start.
    private static let concurrencyThreshold = 1024

    /// Each with what is left of `budget` when it begins: together they never take more than as many times the budget as there
    /// are threads.
    private static func concurrent(
        _ stages: ArraySlice<TranslationStage>, memory: MemoryView, budget: Budget
    ) -> [TableScan] {
        guard !stages.isEmpty else { return [] }
        let next = Atomic(0)
        let left = Mutex(budget)
        return [TableScan?](unsafeUninitializedCapacity: stages.count) { results, count in
            results.initialize(repeating: nil)
            count = stages.count
            // Each thread writes the elements that it drew.
            nonisolated(unsafe) let results = results
            let threads = min(stages.count, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
            DispatchQueue.concurrentPerform(iterations: threads) { _ in
                while true {
                    let number = next.add(1, ordering: .relaxed).oldValue
                    guard number < stages.count else { return }
                    let budget = left.withLock { Budget(pages: max(0, $0.pages), runs: max(0, $0.runs)) }
                    let scan = TableScan(stages[stages.startIndex + number], memory: memory, budget: budget)
                    left.withLock { $0 -= scan.spent }
                    results[number] = scan
                }
            }
        }.compactMap(\.self)
    }
}
