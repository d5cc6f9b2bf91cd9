import IOMMUModel
import PageTables
import Snapshot

/// Rules about the page tables of one tree: its defects, its number of levels, its leaves, its areas.
struct TableRules {
    let index: SnapshotIndex
    let recorded: RecordedMemory
    /// Sorted; empty when no range is known.
    let ranges: [PhysicalRange]
    let limit: Int
    /// What each table page belongs to, for pages that two trees use.
    private var owners: [PhysicalAddress: Owner] = [:]

    private struct Owner {
        /// `nil`: the lookup structures of a unit.
        var shape: TableTarget.Shape?
        var label: String
    }

    init(index: SnapshotIndex, recorded: RecordedMemory, limit: Int) {
        self.index = index
        self.recorded = recorded
        self.limit = limit
        ranges = index.snapshot.memoryRanges.map(\.range)
        for pages in index.snapshot.lookupPages {
            for entry in pages.pages.entries where entry.level != LookupLevel.mappedTable {
                owners[entry.address] = Owner(label: "the lookup structures of unit \(pages.unit)")
            }
        }
    }

    /// All rules about one tree. Tells what it spent of `budget`.
    mutating func check(_ target: TableTarget, budget: ScanBudget, into log: inout FindingLog) -> ScanBudget {
        let memory = recorded.memory.view
        let tree = Walker.scan(target.configuration, root: target.root, memory: memory, budget: budget)
        for defect in tree.defects { log.add(finding(defect, target)) }
        ownership(tree, target, &log)
        levels(tree, target, &log)

        var audit = AreaAudit(index, target: target, memory: memory, limit: limit)
        if let known = audit, known.origin == .derived {
            audit = nil
            log.add(
                target.finding(
                    .areaWitnessMissing, "the areas were read off the tables: nothing independent checks them"))
        }
        var leafFindings = 0
        var runs = tree.runCursor()
        while let (run, _) = runs.next() {
            leaves(run, target, memory, &leafFindings, &log)
            audit?.found(run)
        }
        if let iova = runs.budgetExceededAt {
            log.add(
                target.finding(.tableBudgetExceeded, iova: iova, "more runs than \(budget.runs): the rest is not read"))
        }
        audit?.finish()
        log.add(contentsOf: audit?.findings ?? [])
        return ScanBudget(
            pages: tree.nodeCount, runs: runs.visited, defects: min(tree.defects.count, budget.defects))
    }

    /// False only when the machine's memory is known and `page` is none of it.
    func mayBeMemory(_ page: PhysicalAddress) -> Bool { ranges.isEmpty || isMemory(page) }

    func isMemory(_ page: PhysicalAddress) -> Bool {
        if recorded.holds(page) { return true }
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].first <= page { low = middle + 1 } else { high = middle }
        }
        // Ranges of different kinds may lie inside each other (an arena in RAM): look back a few.
        return ranges[..<low].reversed().contains { $0.contains(page) }
    }

    /// A page that another tree, or a lookup structure, uses as well.
    private mutating func ownership(_ tree: TableTree, _ target: TableTarget, _ log: inout FindingLog) {
        let label =
            (target.domain.map { "domain \($0)" } ?? "the tables at \(target.root)")
            + " (\(target.configuration.format.rawValue), \(target.configuration.topLevel + 1) levels)"
        var places: TablePlaces?
        for node in tree.nodes {
            guard let owner = owners[node.page] else {
                owners[node.page] = Owner(shape: target.shape, label: label)
                continue
            }
            guard owner.shape != target.shape else { continue }
            let known =
                places
                ?? TablePlaces(
                    configuration: target.configuration, root: target.root, memory: recorded.memory.view)
            places = known
            log.add(
                target.finding(
                    .tableReused,
                    address: known.pointer(page: node.page, level: node.level) ?? target.pointerAddress,
                    iova: known.range(page: node.page, level: node.level, index: 0)?.first,
                    "table page \(node.page) at level \(node.level) also belongs to \(owner.label)"))
        }
    }

    /// Tables that were built for another number of levels than the entry names that leads to them.
    private func levels(_ tree: TableTree, _ target: TableTarget, _ log: inout FindingLog) {
        let evidence = LevelEvidence(tree, memory: recorded.memory.view)
        let address = target.levels?.address
        if evidence.isConvincing {
            log.add(
                target.finding(
                    .tableLeavesDecodeAsTables, address: address,
                    "of the first \(evidence.leaves) pages that the lowest tables map, \(evidence.tableLeaves) "
                        + "decode as tables "
                        + "and \(evidence.largeLeaves) as large pages: the tables have more than "
                        + "\(target.configuration.topLevel + 1) levels"))
        }
        if let stated = evidence.statedTopLevel, let levels = target.levels {
            // Too few levels fault everywhere; too many make every entry of the root skip some.
            let severity: Severity = stated > target.configuration.topLevel ? .error : .warning
            log.add(
                target.finding(
                    levels.rule, severity: severity, address: address,
                    "read with \(target.configuration.topLevel + 1) levels, but every entry of the root names a "
                        + "next level as "
                        + "of \(stated + 1)"))
        }
    }

    /// Table and lookup pages that `run` lets the device reach, each leaf entry once.
    private func leaves(
        _ run: TranslatedRun, _ target: TableTarget, _ memory: MemoryView, _ count: inout Int, _ log: inout FindingLog
    ) {
        var number = recorded.firstPage(from: run.pa.pageBase)
        let last = run.pa.rawValue &+ run.range.lastOffset
        var reported: PhysicalAddress?
        while number < recorded.pages.count, recorded.pages[number].rawValue <= last, count < limit {
            let page = recorded.pages[number]
            number += 1
            let iova = IOVA(run.range.first.rawValue &+ (max(page.rawValue, run.pa.rawValue) &- run.pa.rawValue))
            let access: Access = run.protection.contains(.read) ? .read : .write
            let walk = Walker.trace(target.configuration, root: target.root, memory: memory, iova: iova, access: access)
            guard let leaf = walk.steps.last?.entryAddress, leaf != reported else { continue }
            reported = leaf
            count += 1
            log.add(
                target.finding(
                    .tableLeafIntoTable, address: leaf, iova: iova,
                    "maps (\(run.protection)) \(page), a table page: the device can "
                        + (run.protection.contains(.write) ? "rewrite" : "read") + " translations"))
        }
    }
}
