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
    struct Budget: Equatable {
        /// Tables read, and ``mappedTables``.
        var pages: Int
        /// Pieces visited, not areas told: where one tree exhausts it, the next ones get none, however little it maps.
        var runs: Int

        /// As many pages as one ``PageSet`` holds, however they look.
        static let mostPages = Int(UInt32.max) / 4097

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
        spent = Budget(pages: tree.nodeCount + mappedTables.count, runs: runs.visited)
    }

    /// True when a scan with `budget` would have come to the same; false when that is not known.
    private func isValid(for budget: Budget) -> Bool {
        if budget == self.budget { return true }
        let least = Budget(pages: min(budget.pages, self.budget.pages), runs: min(budget.runs, self.budget.runs))
        return spent.pages < least.pages && spent.runs < least.runs
    }

    /// The tables of each of `stages`, all of them together within `budget`, the first ones first. On all cores where it is
    /// worth it; what comes out is the same.
    static func all(_ stages: [TranslationStage], memory: MemoryView, budget: Budget) -> [TableScan] {
        var scans: [TableScan] = []
        var left = Budget(pages: min(budget.pages, Budget.mostPages), runs: budget.runs)
        var alone = TreeWork.concurrencyThreshold
        while scans.count < stages.count, alone > 0 {
            let probe = Budget(pages: min(left.pages, alone), runs: left.runs)
            let scan = TableScan(stages[scans.count], memory: memory, budget: probe)
            guard scan.isValid(for: left) else { break }
            scans.append(scan)
            left -= scan.spent
            alone -= scan.spent.pages
        }
        let rest = stages[scans.count...]
        for (stage, scan) in zip(rest, concurrent(rest, memory: memory, budget: left)) {
            // Which scans were over when another began is chance.
            scans.append(scan.isValid(for: left) ? scan : TableScan(stage, memory: memory, budget: left))
            left -= scans[scans.count - 1].spent
        }
        return scans
    }

    /// Each with its thread's share of what is left of `budget`, which it then gives back: together they never take more.
    private static func concurrent(
        _ stages: ArraySlice<TranslationStage>, memory: MemoryView, budget: Budget
    ) -> [TableScan] {
        let threads = TreeWork.threads(for: stages.count)
        let left = Mutex(budget)
        return TreeWork.each(stages.count, threads: threads) { number in
            let share = left.withLock { left in
                let share = Budget(
                    pages: max(0, min(left.pages, budget.pages / threads)),
                    runs: max(0, min(left.runs, budget.runs / threads)))
                left -= share
                return share
            }
            let scan = TableScan(stages[stages.startIndex + number], memory: memory, budget: share)
            left.withLock {
                $0 -= Budget(pages: scan.spent.pages - share.pages, runs: scan.spent.runs - share.runs)
            }
            return scan
        }
    }
}
