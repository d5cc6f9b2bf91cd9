import IOMMUModel
import PageTables

/// Whether two trees of page tables translate every IOVA alike: the test before a replace (lifecycle.md, compare).
///
/// Address and permission per IOVA, by merging two streams of runs; how the tables are built does not matter. Leaf
/// sizes count only when asked for (break-before-make hardware). O(tables of both trees).
public enum TreeComparison: Sendable, Hashable {
    /// Both translate alike; so many bytes are mapped.
    case equal(mappedBytes: UInt64)
    /// The first place where they do not.
    case differs(TreeDifference)
    /// One of the trees cannot be read to its end, so equality cannot be shown.
    case unreadable(root: PhysicalAddress, why: String)

    /// Compares the tree at `rootA` with that at `rootB`, both in `memory`, up to the first difference.
    ///
    /// - Parameters:
    ///   - leafSizes: leaves of unequal size are a difference too.
    ///   - budget: for each tree; one that exceeds it is ``unreadable(root:why:)``.
    public static func compare(
        _ configurationA: PageTableConfiguration, root rootA: PhysicalAddress,
        _ configurationB: PageTableConfiguration, root rootB: PhysicalAddress, memory: MemoryView,
        leafSizes: Bool = false, budget: ScanBudget = ScanBudget()
    ) -> TreeComparison {
        let treeA = Walker.scan(configurationA, root: rootA, memory: memory, budget: budget)
        if let why = problem(treeA) { return .unreadable(root: rootA, why: why) }
        let treeB = Walker.scan(configurationB, root: rootB, memory: memory, budget: budget)
        if let why = problem(treeB) { return .unreadable(root: rootB, why: why) }

        var a = treeA.runCursor(splittingPageSizes: leafSizes)
        var b = treeB.runCursor(splittingPageSizes: leafSizes)
        var headA = a.next().map(Head.init)
        var headB = b.next().map(Head.init)
        var mappedBytes: UInt64 = 0
        while let runA = headA, let runB = headB, runA.first == runB.first {
            let last = min(runA.last, runB.last)
            guard runA.difference(from: runB, leafSizes: leafSizes) == nil else { break }
            mappedBytes &+= last &- runA.first &+ 1
            headA = runA.last == last ? a.next().map(Head.init) : runA.after(last)
            headB = runB.last == last ? b.next().map(Head.init) : runB.after(last)
        }
        // What a spent budget has cut off is no difference.
        if let at = a.budgetExceededAt { return .unreadable(root: rootA, why: "too many runs, from IOVA \(at) on") }
        if let at = b.budgetExceededAt { return .unreadable(root: rootB, why: "too many runs, from IOVA \(at) on") }
        guard let runA = headA else {
            return headB.map { .differs($0.alone(until: nil, first: false)) } ?? .equal(mappedBytes: mappedBytes)
        }
        guard let runB = headB else { return .differs(runA.alone(until: nil, first: true)) }
        if runA.first < runB.first { return .differs(runA.alone(until: runB.first, first: true)) }
        if runB.first < runA.first { return .differs(runB.alone(until: runA.first, first: false)) }
        guard let what = runA.difference(from: runB, leafSizes: leafSizes) else {
            preconditionFailure("the loop ends where something differs")
        }
        let range = IOVARange(first: IOVA(runA.first), last: IOVA(min(runA.last, runB.last)))!
        return .differs(TreeDifference(range: range, what: what))
    }

    private static func problem(_ tree: TableTree) -> String? {
        for defect in tree.defects {
            if case .absentPage(let page) = defect.kind { return "table page \(page) is not in memory" }
        }
        return tree.isComplete ? nil : "too many table pages"
    }

    /// What is left of a run.
    private struct Head {
        var first: UInt64
        var last: UInt64
        var pa: UInt64
        var protection: Protection
        var pageSizeLog2: Int

        init(_ next: (run: TranslatedRun, pageSizeLog2: Int)) {
            first = next.run.range.first.rawValue
            last = next.run.range.last.rawValue
            pa = next.run.pa.rawValue
            protection = next.run.protection
            pageSizeLog2 = next.pageSizeLog2
        }

        func after(_ end: UInt64) -> Head {
            var rest = self
            rest.pa = pa &+ (end &- first &+ 1)
            rest.first = end &+ 1
            return rest
        }

        func alone(until other: UInt64?, first inFirst: Bool) -> TreeDifference {
            let end = other.map { min(last, $0 &- 1) } ?? last
            return TreeDifference(
                range: IOVARange(first: IOVA(first), last: IOVA(end))!,
                what: inFirst
                    ? .onlyInFirst(PhysicalAddress(pa), protection) : .onlyInSecond(PhysicalAddress(pa), protection))
        }

        func difference(from other: Head, leafSizes: Bool) -> TreeDifference.What? {
            if pa != other.pa { return .address(first: PhysicalAddress(pa), second: PhysicalAddress(other.pa)) }
            if protection != other.protection { return .protection(first: protection, second: other.protection) }
            if leafSizes, pageSizeLog2 != other.pageSizeLog2 {
                return .pageSize(first: pageSizeLog2, second: other.pageSizeLog2)
            }
            return nil
        }
    }
}
