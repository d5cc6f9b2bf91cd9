import IOMMUModel
import PageTables
import Snapshot

/// Rules about the page tables of one tree: its defects, its leaves, its areas.
struct TableRules {
    let index: SnapshotIndex
    let recorded: RecordedMemory
    /// Sorted; empty when no range is known.
    let ranges: [PhysicalRange]
    let limit: Int
    /// The tree that each table page belongs to, for pages that two domains use.
    private var owners: [PhysicalAddress: (root: PhysicalAddress, label: String)] = [:]

    init(index: SnapshotIndex, recorded: RecordedMemory, limit: Int) {
        self.index = index
        self.recorded = recorded
        self.limit = limit
        ranges = index.snapshot.memoryRanges.map(\.range)
        for pages in index.snapshot.lookupPages {
            for entry in pages.pages.entries {
                owners[entry.address] = (entry.address, "the lookup structures of unit \(pages.unit)")
            }
        }
    }

    mutating func check(_ target: TableTarget, budget: ScanBudget, into log: inout FindingLog) {
        let memory = recorded.memory.view
        let tree = Walker.scan(target.configuration, root: target.root, memory: memory, budget: budget)
        for defect in tree.defects { log.add(finding(defect, target)) }
        ownership(tree, target, &log)

        var audit = AreaAudit(index, target: target, memory: memory, limit: limit)
        if let known = audit, known.origin == .derived {
            audit = nil
            log.add(
                target.finding(
                    .areaWitnessMissing, "the areas were read off the tables: nothing independent checks them"))
        }
        var leafFindings = 0
        let end = tree.forEachRun { run in
            leaves(run, target, memory, &leafFindings, &log)
            audit?.found(run)
            return true
        }
        if case .budgetExceeded(let iova) = end {
            log.add(
                target.finding(.tableBudgetExceeded, iova: iova, "more runs than \(budget.runs): the rest is not read"))
        }
        audit?.finish()
        log.add(contentsOf: audit?.findings ?? [])
    }

    /// What `defect` breaks.
    private func finding(_ defect: TableDefect, _ target: TableTarget) -> Finding {
        let address = defect.entryAddress ?? target.pointerAddress
        let entry = "level \(defect.level) entry \(hex(defect.value))"
        let imported = index.snapshot.origin == .imported
        func report(_ rule: RuleID, severity: Severity? = nil, _ message: String) -> Finding {
            target.finding(rule, severity: severity, address: address, iova: defect.range.first, message)
        }
        switch defect.kind {
        case .reservedBits:
            return report(
                .tableReservedBits, "\(entry) for \(defect.range) has a reserved bit set: every access faults")
        case .invalidLevel:
            return report(.tableInvalidLevel, "\(entry) names a next level that is not below its own")
        case .invalidPageSize:
            return report(.tableInvalidPageSize, "\(entry) has a size that no leaf of its level has")
        case .leafNotAllowed: return report(.tableLeafNotAllowed, "\(entry) is a leaf in the sixth level")
        case .misaligned:
            return report(.tableMisaligned, "the address of \(entry) is no multiple of its size")
        case .contiguousDiffers(let size):
            return report(
                .tableContiguousDiffers, "\(entry) differs from the other items of a leaf of 2^\(size) bytes")
        case .erratum512G: return report(.tableErratum512G, "\(entry) is a leaf of 512 GiB")
        case .noAccess: return report(.tableNoAccess, "\(entry) grants neither read nor write")
        case .ignoredBits: return report(.tableIgnoredBits, "\(entry) has bits set that nobody uses")
        case .unmappedGuestTable(let page):
            return report(
                .guestTableUnmapped,
                "\(entry) points to the guest's \(page), which the second stage does not let the hardware read")
        case .nonZeroNotPresent:
            var message = "\(entry) for \(defect.range) is not present, yet not zero"
            let page = PhysicalAddress(defect.value & target.configuration.lastPhysicalAddress.rawValue).pageBase
            if defect.level > 0, page.rawValue != 0, isMemory(page) {
                message += "; its address \(page) is memory: the tables below it are orphaned"
            }
            return report(.tableNonZeroNotPresent, message)
        case .absentPage(let page):
            let place = defect.entryAddress == nil ? "the root table \(page)" : "\(entry) points to \(page), which"
            if !mayBeMemory(page) {
                return report(.tableOutsideMemory, "\(place) is outside the machine's memory; \(defect.range) is lost")
            }
            return report(
                .tablePageUnknown, severity: imported ? .warning : .error,
                "\(place) is not recorded; \(defect.range) is unknown")
        case .reused(let page):
            return report(
                .tableReused, "\(entry) for \(defect.range) points to \(page), a table that is already in use")
        case .pageBudgetExceeded(let page):
            return report(.tableBudgetExceeded, "too many table pages: \(page) and those after it are not read")
        case .defectBudgetExceeded:
            return report(.tableBudgetExceeded, "too many defects: those after this entry are not listed")
        }
    }

    /// False only when the machine's memory is known and `page` is none of it.
    func mayBeMemory(_ page: PhysicalAddress) -> Bool { ranges.isEmpty || isMemory(page) }

    private func isMemory(_ page: PhysicalAddress) -> Bool {
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
        let label = target.domain.map { "domain \($0)" } ?? "the tables at \(target.root)"
        var places: TablePlaces?
        for node in tree.nodes {
            guard let owner = owners[node.page] else {
                owners[node.page] = (target.root, label)
                continue
            }
            guard owner.root != target.root || owner.label.hasPrefix("the lookup") else { continue }
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
