import IOMMUModel

extension Mapper {
    /// Maps a range: one look at what is there, then the writing.
    @inline(never)
    static func mapRange(
        _ range: MapRange, root: UInt64, top: Int, memory: MemoryView, arena: inout TableArena
    ) throws(MapError) {
        var visits = visitLimit
        let needed = try check(
            range, root, from: PhysicalAddress(root), level: top, first: range.iova,
            last: range.last, memory, visits: &visits)
        try reserve(needed, range.rules, arena)
        try fill(
            range, root, level: top, first: range.iova, last: range.last, memory, &arena)
    }

    /// Refuses when something is mapped in `first...last` of the table at `page`; answers how many tables are missing.
    static func check(
        _ range: MapRange, _ page: UInt64, from entryAddress: PhysicalAddress, level: Int, first: UInt64, last: UInt64,
        _ memory: MemoryView, visits: inout Int
    ) throws(MapError) -> Int {
        visits -= 1
        guard visits >= 0, let words = memory.words(ofPage: page) else { throw .damaged(entryAddress: entryAddress) }
        let shift = UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
        let size: UInt64 = 1 &<< shift
        let unit = range.leafUnit(level)
        var missing = 0
        for index in Int(first &>> shift & 511)...Int(last &>> shift & 511) {
            let word = words[index]
            if level == 0, word == 0 { continue }
            let base = (first &>> shift & ~511 | UInt64(index)) &<< shift
            let (from, to) = (max(first, base), min(last, base &+ (size &- 1)))
            let isLeaf = range.isLeaf(base, unit: unit)
            switch Format.kind(word, level: level, range.rules) {
            case .notPresent:
                if !isLeaf { missing += range.tables(first: from, last: to, below: level) }
            case .leaf: throw .overlap(at: range.rules.iova(from))
            case .invalid: throw .damaged(entryAddress: entry(page, index))
            case .table:
                let next = try nextTable(word, at: entry(page, index), level: level, range.rules)
                if isLeaf {
                    try refuseLeaves(
                        in: next, from: entry(page, index), level: level &- 1, base: base, range.rules, memory,
                        visits: &visits)
                } else {
                    missing += try check(
                        range, next, from: entry(page, index), level: level &- 1, first: from, last: to, memory,
                        visits: &visits)
                }
            }
        }
        return missing
    }

    /// Writes the leaves of `first...last` into the table at `page` and below it. Nothing is mapped there and there are
    /// frames enough: that was checked. Only a damaged tree, with one page in two places, can still fail here.
    static func fill(
        _ range: MapRange, _ page: UInt64, level: Int, first: UInt64, last: UInt64, _ memory: MemoryView,
        _ arena: inout TableArena
    ) throws(MapError) {
        guard let words = memory.words(ofPage: page) else { throw .damaged(entryAddress: PhysicalAddress(page)) }
        let shift = UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
        let size: UInt64 = 1 &<< shift
        let mark = Format.mark(level: level)
        var position = first
        var index = Int(truncatingIfNeeded: first &>> shift & 511)
        arena.markDirty(page)
        // The slots that become leaves: none, or all but a partial first and last block.
        let unit = range.leafUnit(level)
        while true {
            let slotLast = position | (size &- 1)
            if unit != 0, position & (unit &- 1) == 0, last &- position >= unit &- 1 {
                let bytes = (last &- position &+ 1) & ~(unit &- 1)
                let count = Int(truncatingIfNeeded: bytes &>> shift)
                releaseTables(words, index, count, level: level, range.rules, memory, &arena)
                writeLeaves(range, words + index, count, at: position, level: level)
                index &+= count
                position &+= bytes
            } else {
                let next: UInt64
                if Format.isTable(words[index], mark: mark, range.rules) {
                    next = Format.tableAddress(words[index], range.rules)
                } else {
                    guard let frame = arena.allocate(memory: memory) else { throw .outOfTables }
                    next = frame.rawValue
                    words[index] = Format.tableWord(next, level: level, range.rules)
                }
                let end = min(last, slotLast)
                if level == 1 {
                    // The last step down without a call: nearly all tables are at level 0.
                    guard let below = memory.words(ofPage: next) else {
                        throw .damaged(entryAddress: PhysicalAddress(next))
                    }
                    arena.markDirty(next)
                    writeLeaves(
                        range, below + Int(truncatingIfNeeded: position &>> 12 & 511),
                        Int(truncatingIfNeeded: (end &- position &+ 1) &>> 12), at: position, level: 0)
                } else {
                    try fill(range, next, level: level &- 1, first: position, last: end, memory, &arena)
                }
                index &+= 1
                position = slotLast &+ 1
            }
            if position > last || position == 0 { return }
        }
    }

    /// The leaves of `count` slots of one table at `level`, from `position` on.
    @inline(__always)
    private static func writeLeaves(
        _ range: MapRange, _ words: UnsafeMutablePointer<UInt64>, _ count: Int, at position: UInt64, level: Int
    ) {
        let slot = UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
        let sizes = range.rules.leafSizes(atLevel: level)
        if Format.hasContiguousLeaves {
            // Where even two slots are never one leaf, the slots differ by their addresses alone, as in other formats.
            let isPlain = (range.iova ^ range.pa) & (2 &<< slot &- 1) != 0
            if !isPlain { return writeContiguousLeaves(range, words, count, at: position, slot: slot, sizes: sizes) }
        }
        let first = Format.slotLeafWord(
            range.address(of: position), log2: slot, rights: range.rights, options: range.options, range.rules)
        writeLeaves(words, count, first, 1 &<< slot)
    }

    /// Consecutive leaves of one table page, eight words at a time: how fast a shorter loop is depends on where it comes to
    /// lie in memory.
    @inline(__always)
    private static func writeLeaves(
        _ words: UnsafeMutablePointer<UInt64>, _ count: Int, _ first: UInt64, _ size: UInt64
    ) {
        var word = first
        var index = 0
        if count >= 8 {
            var eight = SIMD8(repeating: first)
            for lane in 1..<8 { eight[lane] = eight[lane &- 1] &+ size }
            let step = SIMD8(repeating: size &<< 3)
            let last = count &- 8
            repeat {
                UnsafeMutableRawPointer(words + index).storeBytes(of: eight, as: SIMD8<UInt64>.self)
                eight &+= step
                index &+= 8
            } while index <= last
            word = eight[0]
        }
        while index < count {
            words[index] = word
            word &+= size
            index &+= 1
        }
    }

    /// Leaves of several slots each, all slots of one leaf with the same word, as large as alignment allows.
    private static func writeContiguousLeaves(
        _ range: MapRange, _ words: UnsafeMutablePointer<UInt64>, _ count: Int, at first: UInt64, slot: UInt64,
        sizes: UInt64
    ) {
        var position = first
        var index = 0
        let end = first &+ (UInt64(truncatingIfNeeded: count) &<< slot &- 1)
        let widest = range.widestLeafLog2(sizes)
        while index < count {
            let log2 = range.leafLog2(sizes, at: position, end: end)
            // Once the widest ones fit, they fit up to the end, but for what is left over.
            let leaves = log2 == widest ? (end &- position &+ 1) &>> log2 : 1
            var word = Format.leafWord(
                range.address(of: position), log2: log2, rights: range.rights, options: range.options, range.rules)
            let slots = 1 &<< Int(truncatingIfNeeded: log2 &- slot)
            let rowEnd = index &+ Int(truncatingIfNeeded: leaves) &* slots
            while index < rowEnd {
                writeLeaf(words + index, slots, word)
                index &+= slots
                word &+= 1 &<< log2
            }
            position &+= leaves &<< log2
        }
    }

    /// One leaf of several slots, a power of two: as many words alike.
    @inline(__always)
    private static func writeLeaf(_ words: UnsafeMutablePointer<UInt64>, _ slots: Int, _ word: UInt64) {
        var index = 0
        if slots >= 8 {
            let eight = SIMD8(repeating: word)
            while index < slots {
                UnsafeMutableRawPointer(words + index).storeBytes(of: eight, as: SIMD8<UInt64>.self)
                index &+= 8
            }
        } else {
            while index < slots {
                words[index] = word
                index &+= 1
            }
        }
    }

    /// Frees the empty tables that leaves are about to replace.
    private static func releaseTables(
        _ words: UnsafeMutablePointer<UInt64>, _ first: Int, _ count: Int, level: Int, _ rules: EntryRules,
        _ memory: MemoryView, _ arena: inout TableArena
    ) {
        for index in first..<first + count {
            guard case .table = Format.kind(words[index], level: level, rules) else { continue }
            release(
                Format.tableAddress(words[index], rules), level: Format.nextLevel(words[index], level: level), rules,
                memory, &arena)
        }
    }
}
