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

        /// What of ``ScanBudget/runs`` is spent: pieces visited, also those that became part of a run or gave none, and the
        /// one that the next run begins with.
        public var visited: Int { merger.pieces.visited }

        /// The next maximal run and the page size of its first leaf; with `splittingPageSizes` a run ends where the size
        /// changes. `nil` at the end, and when the budget is spent.
        @inline(__always)
        public mutating func next() -> (run: TranslatedRun, pageSizeLog2: Int)? { merger.next() }
    }
}

/// A source of pieces, ascending by input address.
protocol PieceSource {
    /// Writes the next piece to `piece`; false at the end, and then nothing is said of `piece`.
    mutating func next(_ piece: inout TableTree.Piece) -> Bool
    /// Set once the budget is spent: nothing from this input address on is told.
    var budgetExceededAt: IOVA? { get }
}

extension TableTree.PieceCursor: PieceSource {}

/// Pieces, merged to maximal runs.
struct RunMerger<Pieces: PieceSource> {
    private(set) var pieces: Pieces
    private let splittingPageSizes: Bool
    /// The piece read last.
    private var piece = TableTree.Piece()
    /// It begins the next run.
    private var isPending = false

    init(_ pieces: Pieces, splittingPageSizes: Bool) {
        self.pieces = pieces
        self.splittingPageSizes = splittingPageSizes
        isPending = self.pieces.next(&piece)
    }

    @inline(__always)
    mutating func next() -> (run: TranslatedRun, pageSizeLog2: Int)? {
        guard isPending else { return nil }
        let (first, pa, rights, pageSizeLog2) = (piece.first, piece.pa, piece.rights, piece.pageSizeLog2)
        var last = piece.last
        while true {
            isPending = pieces.next(&piece)
            guard isPending, piece.rights == rights, piece.first == last &+ 1, piece.pa == pa &+ (piece.first &- first),
                !splittingPageSizes || piece.pageSizeLog2 == pageSizeLog2
            else { break }
            last = piece.last
        }
        let range = IOVARange(first: IOVA(first), last: IOVA(last))!
        return (TranslatedRun(range: range, pa: PhysicalAddress(pa), protection: .init(rawValue: rights)), pageSizeLog2)
    }
}
