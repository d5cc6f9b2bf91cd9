import IOMMUModel

/// A mapping of several leaves: what goes where.
struct MapRange {
    let rules: EntryRules
    let pa: UInt64
    let iova: UInt64
    /// The last input address, included.
    let last: UInt64
    let rights: UInt8
    let snoop: Bool

    /// True when a table slot at `level` that lies wholly in the range becomes one leaf: the size exists and both
    /// addresses are congruent.
    @inline(__always)
    func hasLeaves(_ level: Int) -> Bool {
        let size: UInt64 = 1 &<< UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
        return rules.hasLeaves(atLevel: level) && (iova ^ pa) & (size &- 1) == 0
    }

    /// The leaf that maps `position`.
    @inline(__always)
    func leaf<Format: PageTableFormat>(_ format: Format.Type, at position: UInt64, isLarge: Bool) -> UInt64 {
        (pa &+ (position &- iova)) | Format.leafFlags(isLarge: isLarge, rights: rights, snoop: snoop)
    }

    /// Tables that `first...last` needs at and below `level`, where there is none yet, its tables above them there.
    func tables(first: UInt64, last: UInt64, topLevel: Int) -> Int {
        var count: UInt64 = 0
        for level in 0...topLevel {
            let slot = UInt64(12 + 9 * (level + 1))
            count += last >> slot - first >> slot + 1
            // Except where a larger leaf stands.
            guard level < topLevel, let larger = (level + 1...topLevel).first(where: hasLeaves) else { continue }
            let size = UInt64(12 + 9 * larger)
            let begin = (first + (1 << size - 1)) >> size
            let end = (last + 1) >> size
            if end > begin { count -= (end - begin) << (size - slot) }
        }
        return Int(count)
    }
}

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
    private static func check(
        _ range: MapRange, _ page: UInt64, from entryAddress: PhysicalAddress, level: Int, first: UInt64, last: UInt64,
        _ memory: MemoryView, visits: inout Int
    ) throws(MapError) -> Int {
        visits -= 1
        guard visits >= 0, let words = memory.words(ofPage: page) else { throw .damaged(entryAddress: entryAddress) }
        let shift = UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
        let size: UInt64 = 1 &<< shift
        let hasLeaves = range.hasLeaves(level)
        var missing = 0
        for index in Int(first &>> shift & 511)...Int(last &>> shift & 511) {
            let word = words[index]
            if level == 0, word == 0 { continue }
            let base = (first &>> shift & ~511 | UInt64(index)) &<< shift
            let (from, to) = (max(first, base), min(last, base &+ (size &- 1)))
            let isLeaf = hasLeaves && to &- from == size &- 1
            switch Format.kind(word, level: level, range.rules) {
            case .notPresent:
                if !isLeaf { missing += range.tables(first: from, last: to, topLevel: level &- 1) }
            case .leaf: throw .overlap(at: IOVA(from))
            case .reserved: throw .damaged(entryAddress: entry(page, index))
            case .table:
                let next = Format.tableAddress(word, range.rules)
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

    /// Writes the leaves of `first...last` into the table at `page`, whose level is at least 1, and below it. Nothing is
    /// mapped there and there are frames enough: that was checked. Only a damaged tree, with one page in two places, can
    /// still fail here.
    private static func fill(
        _ range: MapRange, _ page: UInt64, level: Int, first: UInt64, last: UInt64, _ memory: MemoryView,
        _ arena: inout TableArena
    ) throws(MapError) {
        guard let words = memory.words(ofPage: page) else { throw .damaged(entryAddress: PhysicalAddress(page)) }
        let shift = UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
        let size: UInt64 = 1 &<< shift
        var position = first
        var index = Int(truncatingIfNeeded: first &>> shift & 511)
        arena.markDirty(page)
        // The slots that become leaves: none, or all but a partial first and last one.
        let hasLeaves = range.hasLeaves(level)
        while true {
            let slotLast = position | (size &- 1)
            if hasLeaves, position & (size &- 1) == 0, slotLast <= last {
                let count = Int(truncatingIfNeeded: (last &- position &+ 1) &>> shift)
                releaseTables(words, index, count, level: level, range.rules, memory, &arena)
                writeLeaves(words + index, count, range.leaf(Format.self, at: position, isLarge: true), size)
                index &+= count
                position &+= UInt64(truncatingIfNeeded: count) &<< shift
            } else {
                let next: UInt64
                if Format.isTable(words[index], range.rules) {
                    next = Format.tableAddress(words[index], range.rules)
                } else {
                    guard let frame = arena.allocate(memory: memory) else { throw .outOfTables }
                    next = frame.rawValue
                    words[index] = Format.tableWord(next)
                }
                let end = min(last, slotLast)
                if level == 1 {
                    // The last step down without a call: nearly all tables are at level 0.
                    guard let below = memory.words(ofPage: next) else {
                        throw .damaged(entryAddress: PhysicalAddress(next))
                    }
                    arena.markDirty(next)
                    writeLeaves(
                        below + Int(truncatingIfNeeded: position &>> 12 & 511),
                        Int(truncatingIfNeeded: (end &- position &+ 1) &>> 12),
                        range.leaf(Format.self, at: position, isLarge: false), 4096)
                } else {
                    try fill(range, next, level: level &- 1, first: position, last: end, memory, &arena)
                }
                index &+= 1
                position = slotLast &+ 1
            }
            if position > last || position == 0 { return }
        }
    }

    /// Consecutive leaves of one table page. So plain that the compiler writes several at a time.
    @inline(__always)
    private static func writeLeaves(
        _ words: UnsafeMutablePointer<UInt64>, _ count: Int, _ first: UInt64, _ size: UInt64
    ) {
        var word = first
        var index = 0
        while index < count {
            words[index] = word
            word &+= size
            index &+= 1
        }
    }

    /// Frees the empty tables that leaves are about to replace.
    private static func releaseTables(
        _ words: UnsafeMutablePointer<UInt64>, _ first: Int, _ count: Int, level: Int, _ rules: EntryRules,
        _ memory: MemoryView, _ arena: inout TableArena
    ) {
        for index in first..<first + count where Format.kind(words[index], level: level, rules) == .table {
            release(Format.tableAddress(words[index], rules), level: level &- 1, rules, memory, &arena)
        }
    }
}
