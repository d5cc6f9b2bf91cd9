import IOMMUModel

/// All tables of a guest's domain, decoded once, beside the host's stage below them: what
/// ``Walker/scan(first:second:memory:budget:)`` found.
public struct NestedTree: Sendable {
    /// The first stage. Its pages and its defects' entries are where they are in the host's memory; its runs and leaves
    /// end in addresses of the guest.
    public let first: TableTree
    /// What translates those. Its own tables are scanned by themselves.
    public let second: TranslationStage

    /// Calls `body` with every maximal run from input address to the host's address, ascending, until it answers false.
    ///
    /// A run has the rights of both stages; what one of them does not translate is no part of any. The second stage is
    /// walked in `memory` page by page: linear in its pages below the first stage's, bounded by ``ScanBudget/runs``.
    @discardableResult
    public func forEachRun(memory: MemoryView, _ body: (TranslatedRun) -> Bool) -> EnumerationEnd {
        var cursor = runCursor(memory: memory)
        while let (run, _) = cursor.next() {
            guard body(run) else { return .stopped }
        }
        return cursor.budgetExceededAt.map { .budgetExceeded(at: $0) } ?? .complete
    }

    /// The runs of ``forEachRun(memory:_:)``, pulled one by one.
    public func runCursor(memory: MemoryView, splittingPageSizes: Bool = false) -> RunCursor {
        RunCursor(self, memory: memory, splittingPageSizes: splittingPageSizes)
    }

    /// All runs in an array; for tests and small trees.
    public func runs(memory: MemoryView) -> [TranslatedRun] {
        var runs: [TranslatedRun] = []
        forEachRun(memory: memory) { run in
            runs.append(run)
            return true
        }
        return runs
    }

    /// A place in the enumeration, with the run that is under way. Valid while the memory is.
    public struct RunCursor {
        private var merger: RunMerger<NestedPieces>

        init(_ tree: NestedTree, memory: MemoryView, splittingPageSizes: Bool) {
            merger = RunMerger(NestedPieces(tree, memory: memory), splittingPageSizes: splittingPageSizes)
        }

        /// Set once ``ScanBudget/runs`` is spent: nothing from this input address on is told.
        public var budgetExceededAt: IOVA? { merger.pieces.budgetExceededAt }

        /// What is spent: pieces of the first stage, and what the second stage cut them into, told or not.
        public var visited: Int { merger.pieces.visited }

        /// The next maximal run and the page size of its beginning, the smaller of both stages'; with
        /// `splittingPageSizes` a run ends where the size changes. `nil` at the end, and when the budget is spent.
        public mutating func next() -> (run: TranslatedRun, pageSizeLog2: Int)? { merger.next() }
    }
}

extension Walker {
    /// As ``scan(_:root:memory:budget:)`` for the first of two stages: `second` says where its pages are.
    public static func scan(
        first: TranslationStage, second: TranslationStage, memory: MemoryView, budget: ScanBudget = ScanBudget()
    ) -> NestedTree {
        let pages = GuestPages(second: second, memory: memory)
        return NestedTree(first: scan(first, pages: pages, memory: memory, budget: budget), second: second)
    }
}

/// The pieces of a first stage, cut where the second stage's pages end.
struct NestedPieces: PieceSource {
    private var upper: TableTree.PieceCursor
    /// Sets no bits.
    private let second: TranslationStage
    private let memory: MemoryView
    /// What is left of the first stage's piece under way.
    private var rest = TableTree.Piece()
    private var hasRest = false
    private let budget: Int
    private var left: Int
    private var exceededAt: IOVA?

    var budgetExceededAt: IOVA? { exceededAt ?? upper.budgetExceededAt }

    /// ``TableTree/RunCursor/visited`` of both stages.
    var visited: Int { upper.visited + budget - left }

    init(_ tree: NestedTree, memory: MemoryView) {
        upper = .init(tree.first)
        second = GuestPages(second: tree.second, memory: memory).second
        self.memory = memory
        budget = tree.first.budget.runs
        left = budget
    }

    mutating func next(_ piece: inout TableTree.Piece) -> Bool {
        while exceededAt == nil, hasRest || upper.next(&rest) {
            guard left > 0 else {
                exceededAt = IOVA(rest.first)
                return false
            }
            left -= 1
            piece = rest
            let span = span(at: piece.pa)
            let offset = min(piece.last &- piece.first, span.last &- piece.pa)
            hasRest = piece.first &+ offset != piece.last
            rest.first &+= offset &+ 1
            rest.pa &+= offset &+ 1
            guard let lower = span.translation else { continue }
            piece.rights &= lower.protection.rawValue
            if piece.rights == 0 { continue }
            piece.last = piece.first &+ offset
            piece.pa = lower.pa.rawValue
            piece.pageSizeLog2 = min(piece.pageSizeLog2, lower.pageSizeLog2)
            return true
        }
        return false
    }

    /// What the second stage makes of `guest`, and up to where it certainly is the same entry.
    private func span(at guest: UInt64) -> (translation: Translation?, last: UInt64) {
        func slot(_ level: Int) -> UInt64 { guest | ((1 &<< UInt64(12 + 9 * level)) &- 1) }
        var result = Walker.translate(second, memory: memory, iova: IOVA(guest), access: .read)
        if case .fault(.permissionRead, _, _) = result {
            result = Walker.translate(second, memory: memory, iova: IOVA(guest), access: .write)
        }
        switch result {
        // Not the page: the other items of a damaged contiguous leaf may be others.
        case .translated(let translation): return (translation, slot(translation.level))
        case .fault(_, let level?, _): return (nil, slot(level))
        // Beyond the width, and so is all that follows.
        case .fault(_, nil, _): return (nil, .max)
        case .absent(_, let level): return (nil, slot(min(level + 1, 5)))
        }
    }
}
