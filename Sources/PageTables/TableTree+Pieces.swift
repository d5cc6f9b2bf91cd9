import IOMMUModel

extension TableTree {
    /// Leaves of one size in one table page that continue each other.
    struct Piece {
        /// An input address, as ``last`` is.
        var first: UInt64 = 0
        /// Clipped to the input width.
        var last: UInt64 = 0
        var pa: UInt64 = 0
        var pageSizeLog2 = 12
        /// What a device gets by all entries on the way, ANDed; never none.
        var rights: UInt8 = 0

        /// Of each leaf.
        var size: UInt64 { 1 &<< UInt64(truncatingIfNeeded: pageSizeLog2) }
    }

    /// A place in the enumeration of one tree, ascending by input address. Holds the tree, and one place per level; nothing
    /// is listed ahead. A page that is used again is told again, as the hardware would translate.
    struct PieceCursor {
        private let tree: TableTree
        /// Those of ``tree``, which keeps them.
        private let items: UnsafePointer<Item>
        private let records: UnsafePointer<Record>
        private let bias: UInt64
        private let lastLinear: UInt64
        /// Where the next piece comes from.
        private var current = Place(item: 0, end: 0, base: 0, shift: 12, rights: 0)
        /// The tables above it, `depth` of them, the root first: levels fall by at least one.
        private var above = InlineArray<5, Place>(repeating: Place(item: 0, end: 0, base: 0, shift: 12, rights: 0))
        private var depth = 0
        private var left: Int
        /// Entries and runs of leaves looked at so far: what ``ScanBudget/runs`` counts.
        var visited: Int { tree.budget.runs &- left }
        /// Set once ``ScanBudget/runs`` is spent: nothing from this input address on is told.
        private(set) var budgetExceededAt: IOVA?

        /// Where the enumeration is in one table.
        private struct Place {
            var item: Int
            var end: Int
            /// Linear, as all addresses here are.
            var base: UInt64
            var shift: UInt64
            var rights: UInt8
        }

        init(_ tree: TableTree) {
            self.tree = tree
            let rules = tree.configuration.rules
            items = tree.items.baseAddress!
            records = tree.records.baseAddress!
            bias = rules.bias
            lastLinear = rules.lastLinear
            left = tree.budget.runs
            guard let root = tree.records.first, root.hasLeaf else { return }
            current = Self.place(root, base: 0, rights: rules.rootRights)
        }

        private static func place(_ record: Record, base: UInt64, rights: UInt8) -> Place {
            Place(
                item: record.firstItem, end: record.firstItem + Int(record.itemCount), base: base,
                shift: UInt64(12 + 9 * Int(record.level)), rights: rights)
        }

        /// Writes the next piece to `piece`; false at the end, and when the budget is spent.
        @inline(__always)
        mutating func next(_ piece: inout Piece) -> Bool {
            // Most are of the same table, and nothing else is to be asked: neither sized nor clipped, and the budget lasts.
            if current.item < current.end, left > 0 {
                let item = items[current.item]
                let first = current.base &+ item.index &<< current.shift
                let last = first &+ (item.count &<< current.shift &- 1)
                let granted = EntryRights.deviceProtection(current.rights & item.rights)
                if item.isLeavesOfSlots, last <= lastLinear, granted != 0 {
                    current.item &+= 1
                    left &-= 1
                    piece.first = iova(first)
                    piece.last = iova(last)
                    piece.pa = item.address
                    piece.pageSizeLog2 = Int(truncatingIfNeeded: current.shift)
                    piece.rights = granted
                    return true
                }
            }
            return nextOther(&piece)
        }

        /// As ``next(_:)``, whatever comes.
        @inline(never)
        private mutating func nextOther(_ piece: inout Piece) -> Bool {
            defer { withExtendedLifetime(tree) {} }
            while true {
                guard current.item < current.end else {
                    guard depth > 0 else { return false }
                    depth &-= 1
                    current = above[depth]
                    continue
                }
                let item = items[current.item]
                current.item &+= 1
                let first = current.base &+ item.index &<< current.shift
                guard first <= lastLinear else { return end() }
                // What gives nothing costs as much: a damaged tree may hold nothing else.
                guard spend(at: first) else { return end() }
                let rights = current.rights & item.rights
                let granted = EntryRights.deviceProtection(rights)
                if granted == 0 { continue }
                if item.isTable {
                    let record = records[item.record]
                    guard record.hasLeaf else { continue }
                    above[depth] = current
                    depth &+= 1
                    current = Self.place(record, base: first, rights: rights)
                    continue
                }
                let byteCount = item.count &<< current.shift
                let leaf = item.leaf(slotLog2: current.shift)
                piece.first = iova(first)
                piece.last = iova(min(first &+ (byteCount &- 1), lastLinear))
                piece.pa = leaf.address
                piece.pageSizeLog2 = Int(truncatingIfNeeded: leaf.sizeLog2)
                piece.rights = granted
                return true
            }
        }

        /// The input address of a linear one.
        @inline(__always)
        private func iova(_ linear: UInt64) -> UInt64 { (linear ^ bias) &- bias }

        /// Takes one from the budget; false when it is spent, at the linear address `first`.
        @inline(__always)
        private mutating func spend(at first: UInt64) -> Bool {
            left &-= 1
            if left >= 0 { return true }
            left = 0
            budgetExceededAt = IOVA(iova(first))
            return false
        }

        /// Nothing more is told.
        private mutating func end() -> Bool {
            depth = 0
            current.end = 0
            return false
        }
    }
}
