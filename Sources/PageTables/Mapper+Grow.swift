import IOMMUModel

extension Mapper {
    /// Maps a range that needs a root at `top`, above the tree's own: new tables, each with the one below in its first
    /// slot, as Linux grows a tree (generic_pt, dynamic top). One look at what is there, then the writing.
    static func mapGrown(
        _ range: MapRange, _ table: inout PageTable, top: Int, memory: MemoryView, arena: inout TableArena
    ) throws(MapError) {
        let oldTop = table.configuration.topLevel
        var visits = visitLimit
        let missing = try check(
            range, above: table.root, oldTop: oldTop, level: top, last: range.last, memory, visits: &visits)
        try reserve(missing + top - oldTop, range.rules, arena)
        var root = table.root
        for level in oldTop + 1...top {
            guard let frame = arena.allocate(memory: memory), let words = memory.words(ofPage: frame.rawValue) else {
                throw .outOfTables
            }
            words[0] = Format.tableWord(root.rawValue, level: level, range.rules)
            root = frame
        }
        table.grow(to: top, root: root)
        try fill(range, root.rawValue, level: top, first: range.iova, last: range.last, memory, &arena)
    }

    /// As ``check(_:_:from:level:first:last:_:visits:)`` for the table at `level` that is yet to be made: `root` is to be
    /// in its first slot, or below that. `last` is that of the range, or of the slot that the range enters it through.
    private static func check(
        _ range: MapRange, above root: PhysicalAddress, oldTop: Int, level: Int, last: UInt64, _ memory: MemoryView,
        visits: inout Int
    ) throws(MapError) -> Int {
        let size: UInt64 = 1 &<< UInt64(12 + 9 * level)
        var missing = 0
        if range.iova < size {
            let slotLast = min(last, size - 1)
            if range.isLeaf(0, unit: range.leafUnit(level)) {
                try refuseLeaves(
                    in: root.rawValue, from: root, level: oldTop, base: 0, range.rules, memory, visits: &visits)
            } else if level - 1 == oldTop {
                missing += try check(
                    range, root.rawValue, from: root, level: oldTop, first: range.iova, last: slotLast, memory,
                    visits: &visits)
            } else {
                missing += try check(
                    range, above: root, oldTop: oldTop, level: level - 1, last: slotLast, memory, visits: &visits)
            }
        }
        if last >= size { missing += range.tables(first: max(range.iova, size), last: last, below: level) }
        return missing
    }
}
