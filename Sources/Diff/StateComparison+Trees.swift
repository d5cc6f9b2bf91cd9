import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Validate

/// What the hardware makes of IOVAs, and the table pages behind it.
extension StateComparison {
    /// What the trees of both states came to.
    struct Trees {
        var differences: [Difference] = []
        /// Requests of which some IOVA leads elsewhere.
        var moved: Set<Difference.Request> = []
        /// Requests whose trees were read only in part.
        var unread: Set<Difference.Request> = []
    }

    /// Requests that go the same two ways, before and after.
    private struct Ways: Hashable {
        var before: TranslationPath
        var after: TranslationPath
        /// The interrupt window is no memory for these only.
        var isUntagged: Bool
    }

    func treeDifferences() -> Trees {
        var trees = Trees()
        compareMappings(&trees)
        for pair in pairs.pairs where pair.isSame { compareTables(pair, &trees) }
        return trees
    }

    private func compareMappings(_ trees: inout Trees) {
        func byRequest(_ machine: RecordedMachine) -> [Difference.Request: RecordedMachine.Way] {
            Dictionary(machine.ways().map { (.init($0.device, $0.pasid), $0) }) { first, _ in first }
        }
        let (ways, others) = (byRequest(old), byRequest(new))
        var shared: [Ways: [Difference.Request]] = [:]
        for request in ways.keys.sorted() {
            guard let before = ways[request], let after = others[request] else { continue }
            let key = Ways(before: before.path, after: after.path, isUntagged: request.pasid == nil)
            shared[key, default: []].append(request)
        }
        for requests in shared.values {
            guard let one = ways[requests[0]], let other = others[requests[0]] else { continue }
            let found = Self.compare(runs(one, old, requests, &trees), runs(other, new, requests, &trees))
            if !found.isEmpty { trees.moved.formUnion(requests) }
            trees.differences += found.map {
                var difference = $0
                difference.requests = requests
                return difference
            }
        }
        alone(ways, others, old, .gone, &trees)
        alone(others, ways, new, .new, &trees)
    }

    /// Where the way leads, which `requests` share.
    private func runs(
        _ way: RecordedMachine.Way, _ machine: RecordedMachine, _ requests: [Difference.Request], _ trees: inout Trees
    ) -> [ExpectedRun] {
        var runs: [ExpectedRun] = []
        let end = machine.forEachMapping(of: [way], budget: budget) {
            runs.append(ExpectedRun(range: $0.range, physical: $0.pa, protection: $0.protection))
            return true
        }
        if case .budgetExceeded = end { trees.unread.formUnion(requests) }
        return runs
    }

    /// Requests that only one state translates: one line for those that went one way.
    private func alone(
        _ ways: [Difference.Request: RecordedMachine.Way], _ others: [Difference.Request: RecordedMachine.Way],
        _ machine: RecordedMachine, _ change: Difference.Change, _ trees: inout Trees
    ) {
        var shared: [TranslationPath: [Difference.Request]] = [:]
        for request in ways.keys.sorted() where others[request] == nil {
            shared[ways[request]!.path, default: []].append(request)
        }
        for requests in shared.values {
            let runs = runs(ways[requests[0]]!, machine, requests, &trees)
            guard let first = runs.first, let last = runs.last else { continue }
            let bytes = runs.reduce(0) { $0 &+ $1.range.lastOffset &+ 1 }
            let text = "\(bytes) bytes in \(runs.count) run\(runs.count == 1 ? "" : "s")"
            var difference = Difference(
                subject: .mapping, change: change, requests: requests,
                what: change == .gone ? "nothing is translated any more" : "requests are translated that were not")
            difference.range = IOVARange(first: first.range.first, last: last.range.last)
            if change == .gone { difference.before = text } else { difference.after = text }
            trees.differences.append(difference)
        }
    }

    private static func compare(_ before: [ExpectedRun], _ after: [ExpectedRun]) -> [Difference] {
        var result: [Difference] = []
        func text(_ pa: PhysicalAddress, _ protection: Protection) -> String { "\(pa) \(protection)" }
        func report(_ difference: RunDifference) {
            switch difference {
            case .missing(let range, let run):
                var gone = Difference(subject: .mapping, change: .gone, what: "unmapped")
                gone.range = range
                gone.before = text(run.physical(at: range.first), run.protection)
                result.append(gone)
            case .unexpected(let range, let physical, let protection):
                var new = Difference(subject: .mapping, change: .new, what: "mapped")
                new.range = range
                new.after = text(physical, protection)
                result.append(new)
            case .address(let range, let expected, let found):
                var moved = Difference(subject: .mapping, change: .changed, what: "leads elsewhere")
                (moved.range, moved.before, moved.after) = (range, "\(expected)", "\(found)")
                result.append(moved)
            case .protection(let range, let expected, let found):
                var changed = Difference(subject: .mapping, change: .changed, what: "other rights")
                (changed.range, changed.before, changed.after) = (range, "\(expected)", "\(found)")
                result.append(changed)
            }
        }
        var merge = RunMerge(expected: before)
        for run in after {
            merge.found(
                run.range, physical: run.physical(at: run.range.first), protection: run.protection, report: report)
        }
        merge.finish(report: report)
        return result
    }

    /// How many leaves of each size the first tree of a domain has, largest first: `2M:7,4K:512`. Hardware that must break
    /// before it makes cannot be switched between trees that differ in them.
    func leaves(_ domain: DomainID, _ index: StateIndex, _ machine: RecordedMachine) -> String {
        guard let (unit, tables) = index.tables[domain]?.first,
            let configuration = machine.units.first(where: { $0.record.id == unit })?.configuration(tables)
        else { return "-" }
        let tree = Walker.scan(configuration, root: tables.root, memory: machine.memory.view, budget: budget)
        var counts: [Int: UInt64] = [:]
        var runs = tree.runCursor(splittingPageSizes: true)
        while let (run, log2) = runs.next() { counts[log2, default: 0] += run.range.lastOffset >> UInt64(log2) + 1 }
        return counts.sorted { $0.key > $1.key }.map { log2, count in
            let (step, unit) = log2 >= 40 ? (40, "T") : log2 >= 30 ? (30, "G") : log2 >= 20 ? (20, "M") : (10, "K")
            return "\(1 << (log2 - step))\(unit):\(count)"
        }.joined(separator: ",")
    }

    /// The table pages of a domain whose trees begin where they began. Where they do not, they were built anew, and there is
    /// nothing to compare word by word.
    private func compareTables(_ pair: DomainPairs.Pair, _ trees: inout Trees) {
        guard let (unit, tables) = oldIndex.tables[pair.before.id]?.first,
            tables.root == newIndex.tables[pair.after.id]?.first?.tables.root
        else { return }
        let (pages, others) = (oldIndex.pages(pair.before.id), newIndex.pages(pair.after.id))
        guard pages != others else { return }
        let known = Set(others.entries.map(\.address))
        let audit = TableAudit(
            pages.pages { known.contains($0.address) }, memory: new.memory.view, ignoring: 0, limit: wordLimit
        ) {
            old.units.first { $0.record.id == unit }?.configuration(tables).map {
                TablePlaces(configuration: $0, root: tables.root, memory: old.memory.view)
            }
        }
        // A page that a damaged tree uses at several levels is compared at each: its words are told at the highest.
        var told: Set<PhysicalAddress> = []
        for word in audit.differences.sorted(by: { $0.level > $1.level }) {
            guard let found = word.found, told.insert(word.entryAddress).inserted else { continue }
            let isHardwares = (word.recorded ^ found) & ~tables.hardwareUpdatedMask == 0
            var difference = Difference(
                subject: .tableEntry, change: .changed, requests: pair.requests,
                what: "level \(word.level) entry"
                    + (isHardwares ? ": only bits that the hardware updates" : ""))
            (difference.range, difference.address) = (word.range, word.entryAddress)
            (difference.before, difference.after) = (hex(word.recorded), hex(found))
            trees.differences.append(difference)
        }
        let more = audit.differenceCount - audit.differences.count
        if more > 0 {
            trees.differences.append(
                Difference(
                    subject: .tableEntry, change: .changed, requests: pair.requests, what: "and \(more) words more"))
        }
        trees.differences += Self.alone(pages, others, .tablePage, "table page", "reached by the tree", pair.requests)
    }

    /// Pages that only one of two sets has: one line for each set.
    static func alone(
        _ before: PageSet, _ after: PageSet, _ subject: Difference.Subject, _ name: String, _ what: String,
        _ requests: [Difference.Request]
    ) -> [Difference] {
        func missing(_ pages: PageSet, _ others: PageSet, _ change: Difference.Change) -> Difference? {
            let known = Set(others.entries.map(\.address))
            let alone = pages.entries.filter { !known.contains($0.address) }
            guard let first = alone.first else { return nil }
            let count = "\(alone.count) \(name)\(alone.count == 1 ? "" : "s")"
            var difference = Difference(
                subject: subject, change: change, requests: requests,
                what: "\(count) \(change == .gone ? "no longer" : "newly") \(what)")
            difference.address = first.address
            if change == .gone { difference.before = count } else { difference.after = count }
            return difference
        }
        return [missing(before, after, .gone), missing(after, before, .new)].compactMap(\.self)
    }
}
