import IOMMUModel
import Testing

@testable import PageTables

/// ``ScanBudget/runs``, spent anywhere.
struct RunBudgetTests {
    @Test(arguments: Shape.all(haw: 40) + [Shape.wideAMD.with(haw: 40)], 1...3 as ClosedRange<UInt64>)
    func `what is told before a budget is spent is what an unlimited enumeration tells up to there`(
        shape: Shape, seed: UInt64
    ) throws {
        var random = SplitMix(seed: seed)
        func scan(_ tables: RandomTables, _ runs: Int) -> TableTree {
            Walker.scan(tables.stage, memory: tables.machine.view, budget: ScanBudget(runs: runs))
        }
        func pieces(_ tree: TableTree) throws -> Int {
            var cursor = tree.runCursor()
            while cursor.next() != nil {}
            try #require(cursor.budgetExceededAt == nil)
            return cursor.visited
        }
        // Some trees reach next to nothing.
        var (tables, total) = (try RandomTables(shape, seed: seed, pages: 12), 0)
        for attempt in 1...100 where total < 4 {
            tables = try RandomTables(shape, seed: seed + UInt64(attempt) * 3, pages: 12)
            total = try pieces(scan(tables, 1 << 24))
        }
        try #require(total >= 4)
        let runs = scan(tables, 1 << 24).runs()
        let some = (0..<24).map { _ in Int(random.next() % UInt64(total + 1)) }
        for budget in some + [0, 1, total / 2, total - 1, total, total + 1] {
            var cursor = scan(tables, budget).runCursor()
            var told: [TranslatedRun] = []
            while let (run, _) = cursor.next() { told.append(run) }
            #expect(cursor.visited == min(budget, total))
            let at = cursor.budgetExceededAt
            #expect((at == nil) == (budget >= total), "budget \(budget) of \(total)")
            let wanted = runs.compactMap { run -> TranslatedRun? in
                guard let at else { return run }
                guard run.range.first < at else { return nil }
                let last = min(run.range.last.rawValue, at.rawValue - 1)
                return TranslatedRun(
                    range: IOVARange(first: run.range.first, last: IOVA(last))!, pa: run.pa, protection: run.protection)
            }
            #expect(told == wanted, "budget \(budget) of \(total)")
        }
    }
}
