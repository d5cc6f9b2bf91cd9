import IOMMUModel

extension TableTree {
    /// The runs of ``forEachRun(_:)``, pulled one by one: what merging two trees needs.
    public func runCursor(splittingPageSizes: Bool = false) -> RunCursor {
        RunCursor(self, splittingPageSizes: splittingPageSizes)
    }

    /// A place in the enumeration of one tree. Holds the tree, and one place per level; nothing is listed ahead.
    public struct RunCursor {
        private let tree: TableTree
        private let splittingPageSizes: Bool
        private let lastIOVA: UInt64
        /// From the root down; the last one is where the next piece comes from.
        private var places: [Place] = []
        private var left: Int
        /// A piece that was read and begins the next run.
        private var pending: Piece?
        /// Set once ``ScanBudget/runs`` is spent: nothing from this input address on is told.
        public private(set) var budgetExceededAt: IOVA?

        private struct Place {
            var item: Int
            var end: Int
            var base: UInt64
            var shift: UInt64
            var rights: UInt8
        }

        private struct Piece {
            var first: UInt64
            var last: UInt64
            var pa: UInt64
            var rights: UInt8
            var pageSizeLog2: Int
        }

        init(_ tree: TableTree, splittingPageSizes: Bool) {
            self.tree = tree
            self.splittingPageSizes = splittingPageSizes
            lastIOVA = tree.configuration.lastIOVA.rawValue
            left = tree.budget.runs
            places.reserveCapacity(tree.configuration.topLevel + 1)
            if let root = tree.records.first, root.hasLeaf { enter(root, base: 0, rights: 3) }
        }

        /// The next maximal run and the page size of its first leaf; with `splittingPageSizes` a run ends where the size
        /// changes. `nil` at the end, and when the budget is spent.
        public mutating func next() -> (run: TranslatedRun, pageSizeLog2: Int)? {
            guard var run = pending ?? nextPiece() else { return nil }
            let first = run
            pending = nil
            while let piece = nextPiece() {
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

        private mutating func enter(_ record: Record, base: UInt64, rights: UInt8) {
            places.append(
                Place(
                    item: record.firstItem, end: record.firstItem + Int(record.itemCount), base: base,
                    shift: UInt64(12 + 9 * Int(record.level)), rights: rights))
        }

        private mutating func nextPiece() -> Piece? {
            while let current = places.last {
                let top = places.count - 1
                guard current.item < current.end else {
                    places.removeLast()
                    continue
                }
                let item = tree.items[current.item]
                places[top].item = current.item &+ 1
                let first = current.base &+ UInt64(item.index) &<< current.shift
                if first > lastIOVA {
                    places.removeAll(keepingCapacity: true)
                    return nil
                }
                let rights = current.rights & item.rights
                if rights == 0 { continue }
                let record: Record? = item.isTable ? tree.records[Int(truncatingIfNeeded: item.value)] : nil
                if let record, !record.hasLeaf { continue }
                guard left > 0 else {
                    budgetExceededAt = IOVA(first)
                    places.removeAll(keepingCapacity: true)
                    return nil
                }
                left &-= 1
                if let record {
                    enter(record, base: first, rights: rights)
                } else {
                    let last = first &+ UInt64(item.count) &<< current.shift &- 1
                    return Piece(
                        first: first, last: min(last, lastIOVA), pa: item.value, rights: rights,
                        pageSizeLog2: Int(truncatingIfNeeded: current.shift))
                }
            }
            return nil
        }
    }
}
