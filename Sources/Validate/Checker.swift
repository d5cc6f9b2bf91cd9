import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Store

/// Every rule that a snapshot alone can break, every finding.
///
/// Never stops at the first; bounded in pages, runs and findings; the same input gives the same findings in the same
/// order.
public struct Checker: Sendable {
    /// How much is read and listed.
    public struct Limits: Sendable, Hashable {
        /// Findings listed per rule; the rest is counted in one more.
        public var findingsPerRule: Int
        /// Work per tree of page tables.
        public var scan: ScanBudget
        /// Work for all trees together.
        public var allScans: ScanBudget
        /// All as given; nothing is checked.
        public init(
            findingsPerRule: Int = 10_000, scan: ScanBudget = ScanBudget(),
            allScans: ScanBudget = .allTrees
        ) {
            self.findingsPerRule = findingsPerRule
            self.scan = scan
            self.allScans = allScans
        }
    }

    /// How much is read and listed.
    public var limits: Limits

    /// Does no work.
    public init(limits: Limits = Limits()) { self.limits = limits }

    /// All findings about `snapshot`, sorted, with what is wrong with its file (`defects`) among them.
    public func check(_ snapshot: Snapshot, defects: [StoreDefect] = []) throws(MemoryError) -> [Finding] {
        var sorted = snapshot
        sorted.normalize()
        return check(try RecordedMachine(sorted), defects: defects)
    }

    /// As ``check(_:defects:)``, for a machine that is already at hand. Its snapshot must be normalised.
    public func check(_ machine: RecordedMachine, defects: [StoreDefect] = []) -> [Finding] {
        let index = SnapshotIndex(machine.snapshot)
        var log = FindingLog(limitPerRule: limits.findingsPerRule)
        log.add(contentsOf: defects.map(Finding.init))
        RecordRules.check(index, into: &log)
        AreaRules.check(index, into: &log)
        for page in machine.pages.conflicts {
            log.add(Finding(.recordMalformed, address: page, "page \(page) is recorded twice with different content"))
        }
        var tables = TableRules(index: index, recorded: machine.pages, limit: limits.findingsPerRule)
        for unit in machine.units {
            LookupRules(unit: unit, origin: machine.snapshot.origin, isMemory: { [tables] in tables.mayBeMemory($0) })
                .check(into: &log)
            if machine.snapshot.origin == .imported { WidthRules(unit: unit).check(into: &log) }
            GuestRules(unit: unit, memory: machine.memory.view).check(into: &log)
        }
        AttachmentRules(index: index, machine: machine).check(into: &log)
        CacheTagRules(index: index, machine: machine).check(into: &log)
        check(TableTargets.all(index, machine, &log), &tables, &log)
        return log.sorted()
    }

    private func check(_ targets: [TableTarget], _ tables: inout TableRules, _ log: inout FindingLog) {
        var left = limits.allScans
        for (number, target) in targets.enumerated() {
            guard left.pages > 0, left.runs > 0 else {
                log.add(
                    target.finding(
                        .tableBudgetExceeded, address: target.pointerAddress,
                        "the tables together are too large to be read: \(targets.count - number) trees are left out"))
                return
            }
            let spent = tables.check(target, budget: limits.scan.limited(to: left), into: &log)
            left.pages -= spent.pages
            left.runs -= spent.runs
            left.defects -= spent.defects
        }
    }
}
