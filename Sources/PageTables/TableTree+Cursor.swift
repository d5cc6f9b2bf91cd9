import IOMMUModel

extension TableTree {
    /// The runs of ``forEachRun(_:)``, pulled one by one: what merging two trees needs.
    public func runCursor(splittingPageSizes: Bool = false) -> RunCursor {
        RunCursor(self, splittingPageSizes: splittingPageSizes)
    }

    /// A place in the enumeration of one tree, with the run that is under way.
    public struct RunCursor {
        private var merger: RunMerger<PieceCursor>

        init(_ tree: TableTree, splittingPageSizes: Bool) {
            merger = RunMerger(PieceCursor(tree), splittingPageSizes: splittingPageSizes)
        }

        /// Set once ``ScanBudget/runs`` is spent: nothing from this input address on is told.
        public var budgetExceededAt: IOVA? { merger.pieces.budgetExceededAt }

        /// What of ``ScanBudget/runs`` is spent: pieces visited, also those that became part of a run or gave none.
        public var visited: Int { merger.pieces.visited }

        /// The next maximal run and the page size of its first leaf; with `splittingPageSizes` a run ends where the size
        /// changes. `nil` at the end, and when the budget is spent.
        public mutating func next() -> (run: TranslatedRun, pageSizeLog2: Int)? { merger.next() }
    }
}

/// A source of pieces, ascending by input address.
protocol PieceSource {
    mutating func next() -> TableTree.Piece?
    /// Set once the budget is spent: nothing from this input address on is told.
    var budgetExceededAt: IOVA? { get }
}

extension TableTree.PieceCursor: PieceSource {}

/// Pieces, merged to maximal runs.
struct RunMerger<Pieces: PieceSource> {
    private(set) var pieces: Pieces
    private let splittingPageSizes: Bool
    /// A piece that was read and begins the next run.
    private var pending: TableTree.Piece?

    init(_ pieces: Pieces, splittingPageSizes: Bool) {
        self.pieces = pieces
        self.splittingPageSizes = splittingPageSizes
    }

    mutating func next() -> (run: TranslatedRun, pageSizeLog2: Int)? {
        guard var run = pending ?? pieces.next() else { return nil }
        let first = run
        pending = nil
        while let piece = pieces.next() {
            guard piece.rights == run.rights, piece.first == run.last &+ 1,
                piece.pa == first.pa &+ (piece.first &- first.first),
                !splittingPageSizes || piece.pageSizeLog2 == first.pageSizeLog2
            else {
                pending = piece
                break
            }
            run.last = piece.last
        }
        let range = IOVARange(first: IOVA(first.first), last: IOVA(run.last))!
        return (
            TranslatedRun(range: range, pa: PhysicalAddress(first.pa), protection: .init(rawValue: first.rights)),
            first.pageSizeLog2
        )
    }
}
