import IOMMUModel

/// Map and unmap, specialised per format.
///
/// The mapping that is nearly always made (one leaf, its tables there and in the largest segment) is one loop without a
/// call in it; all else leaves it by a tail call.
enum Mapper<Format: PageTableFormat> {
    /// Maps one leaf that needs no further question: a page size, both addresses a multiple of it and in range, tables
    /// there, nothing mapped. False, and nothing written, for anything else.
    @inline(__always)
    static func mapSimple(
        _ rules: EntryRules, root: UInt64, top: Int, iova: UInt64, pa: UInt64, byteCount: UInt64,
        protection: Protection, options: MapOptions, memory: MemoryView, arena: inout TableArena
    ) -> Bool {
        let low = byteCount &- 1
        let shift = UInt64(truncatingIfNeeded: byteCount.trailingZeroBitCount)
        let rights = protection.rawValue & 3
        return (iova | pa | byteCount) & low == 0 && Format.singleSizes(rules) &>> shift & 1 == 1
            && ((Format.canSignExtend ? iova &+ rules.bias : iova) | low) & rules.beyond == 0
            && pa & ~Format.encodable(rules) == 0
            && rights != 0
            && options.rawValue == 0
            && mapInPlace(
                rules, root: root, top: top, iova: iova,
                word: Format.slotLeafWord(pa, log2: shift, rights: rights, options: [], rules), shift: shift,
                memory: memory, arena: &arena)
    }

    /// Writes one leaf of `2^target` bytes where nothing is; false, and nothing written, when that is not so simple.
    @inline(__always)
    private static func mapInPlace(
        _ rules: EntryRules, root: UInt64, top: Int, iova: UInt64, word leaf: UInt64, shift target: UInt64,
        memory: MemoryView, arena: inout TableArena
    ) -> Bool {
        guard memory.isPrimary(root) else { return false }
        var table = root
        var shift = UInt64(truncatingIfNeeded: 12 &+ 9 &* top)
        var mark = Format.mark(level: top)
        var indices = Format.indices(of: iova, topLevel: top)
        while shift != target {
            let word = memory.primaryWords(ofPage: table)[Int(truncatingIfNeeded: indices &>> 55)]
            table = Format.tableAddress(word, rules)
            guard Format.isTable(word, mark: mark, rules), memory.isPrimary(table) else { return false }
            indices &<<= 9
            shift &-= 9
            mark &-= Format.markStep
        }
        let index = Int(truncatingIfNeeded: indices &>> 55)
        let words = memory.primaryWords(ofPage: table)
        guard !Format.isPresent(words[index]), arena.markPrimaryDirty(table) else { return false }
        words[index] = leaf
        return true
    }

    /// Any mapping. `table` gets a new root when the range needs one.
    @inline(never)
    static func map(
        _ table: inout PageTable, iova: UInt64, pa: UInt64, byteCount: UInt64, protection: Protection,
        options: MapOptions, memory: MemoryView, arena: inout TableArena
    ) throws(MapError) {
        let configuration = table.configuration
        let rules = configuration.rules
        let rights = protection.rawValue & 3
        guard rights != 0 else { throw .noAccess }
        guard (iova | pa | byteCount) & 0xfff == 0, byteCount != 0 else {
            throw .misaligned(iova: IOVA(iova), pa: PhysicalAddress(pa), byteCount: byteCount)
        }
        let last = iova &+ (byteCount &- 1)
        let widest = Format.hasNextLevel ? configuration.grown(to: configuration.maximumTopLevel).rules : rules
        // Both ends in the lower half, or both in the upper one.
        guard last >= iova, widest.contains(iova), widest.contains(last), (iova ^ last) & ~widest.lastLinear == 0 else {
            throw .outOfRange(iova: IOVA(iova), byteCount: byteCount)
        }
        let lastPA = pa &+ (byteCount &- 1)
        guard lastPA >= pa, (pa | lastPA) & ~(Format.encodable(rules) | 0xfff) == 0 else {
            throw .addressTooWide(pa: PhysicalAddress(pa), byteCount: byteCount)
        }
        guard !options.contains(.snoop) || Format.canForceSnoop && configuration.snoopControl else {
            throw .snoopUnsupported
        }

        let root = table.root.rawValue
        let range = MapRange(
            rules: rules, pa: pa, iova: widest.linear(iova), last: widest.linear(last), rights: rights,
            options: options)
        if Format.hasNextLevel {
            let top = range.topLevel(atLeast: configuration.topLevel, of: configuration)
            if top > configuration.topLevel {
                return try mapGrown(range, &table, top: top, memory: memory, arena: &arena)
            }
        }
        let shift = UInt64(truncatingIfNeeded: byteCount.trailingZeroBitCount)
        if (iova | pa | byteCount) & (byteCount &- 1) == 0, Format.singleSizes(rules) &>> shift & 1 == 1 {
            let word = Format.slotLeafWord(pa, log2: shift, rights: rights, options: options, rules)
            try mapOne(
                rules, root: root, top: configuration.topLevel, iova: range.iova, word: word, shift: shift,
                memory: memory, arena: &arena)
        } else {
            try mapRange(range, root: root, top: configuration.topLevel, memory: memory, arena: &arena)
        }
    }

    /// Writes one leaf of `2^target` bytes: one walk down, tables made on the way.
    private static func mapOne(
        _ rules: EntryRules, root: UInt64, top: Int, iova: UInt64, word leaf: UInt64, shift target: UInt64,
        memory: MemoryView, arena: inout TableArena
    ) throws(MapError) {
        guard var words = memory.words(ofPage: root) else { throw .damaged(entryAddress: PhysicalAddress(root)) }
        var table = root
        var shift = UInt64(truncatingIfNeeded: 12 &+ 9 &* top)
        while shift != target {
            let index = Int(truncatingIfNeeded: iova &>> shift & 511)
            let next = try tableBelow(
                words, at: entry(table, index), shift: shift, target: target, iova: iova, rules, memory, &arena)
            guard let below = memory.words(ofPage: next) else { throw .damaged(entryAddress: entry(table, index)) }
            words = below
            table = next
            shift &-= 9
        }
        let index = Int(truncatingIfNeeded: iova &>> shift & 511)
        if Format.isPresent(words[index]) {
            try replace(words[index], at: entry(table, index), shift: shift, iova: iova, rules, memory, &arena)
        }
        words[index] = leaf
        arena.markDirty(table)
    }

    /// The table below the entry at `entryAddress` of the table at `words`: a new one when nothing is there.
    private static func tableBelow(
        _ words: UnsafeMutablePointer<UInt64>, at entryAddress: PhysicalAddress, shift: UInt64, target: UInt64,
        iova: UInt64, _ rules: EntryRules, _ memory: MemoryView, _ arena: inout TableArena
    ) throws(MapError) -> UInt64 {
        let index = Int(truncatingIfNeeded: entryAddress.pageOffset &>> 3)
        let level = Int(shift &- 12) / 9
        switch Format.kind(words[index], level: level, rules) {
        case .notPresent:
            try reserve(Int(shift &- target) / 9, rules, arena)
            guard let frame = arena.allocate(memory: memory) else { throw .outOfTables }
            words[index] = Format.tableWord(frame.rawValue, level: level, rules)
            arena.markDirty(entryAddress.pageBase.rawValue)
            return frame.rawValue
        case .table: return try nextTable(words[index], at: entryAddress, level: level, rules)
        case .leaf: throw .overlap(at: rules.iova(iova))
        case .invalid: throw .damaged(entryAddress: entryAddress)
        }
    }

    /// The table one level down that the table entry `word` points to; one that skips levels is no driver's work.
    @inline(__always)
    static func nextTable(
        _ word: UInt64, at entryAddress: @autoclosure () -> PhysicalAddress, level: Int, _ rules: EntryRules
    ) throws(MapError) -> UInt64 {
        guard Format.nextLevel(word, level: level) == level &- 1 else { throw .damaged(entryAddress: entryAddress()) }
        return Format.tableAddress(word, rules)
    }

    /// Refuses when `count` new tables cannot be had, or the arena has frames that a table entry cannot name.
    @inline(__always)
    static func reserve(_ count: Int, _ rules: EntryRules, _ arena: borrowing TableArena) throws(MapError) {
        guard arena.availableCount >= count else { throw .outOfTables }
        guard arena.highestFrame & ~Format.encodable(rules) == 0 || count == 0 else {
            throw .addressTooWide(pa: PhysicalAddress(arena.highestFrame), byteCount: 4096)
        }
    }

    /// Makes room for a leaf where the present entry `word` is: frees a table that maps nothing, refuses anything else.
    static func replace(
        _ word: UInt64, at entryAddress: PhysicalAddress, shift: UInt64, iova: UInt64, _ rules: EntryRules,
        _ memory: MemoryView, _ arena: inout TableArena
    ) throws(MapError) {
        let level = Int(shift &- 12) / 9
        switch Format.kind(word, level: level, rules) {
        case .table: break
        case .invalid: throw .damaged(entryAddress: entryAddress)
        case .leaf, .notPresent: throw .overlap(at: rules.iova(iova))
        }
        var visits = visitLimit
        let next = Format.tableAddress(word, rules)
        let nextLevel = Format.nextLevel(word, level: level)
        try refuseLeaves(in: next, from: entryAddress, level: nextLevel, base: iova, rules, memory, visits: &visits)
        release(next, level: nextLevel, rules, memory, &arena)
    }

    /// Tables that one check may visit: more than any host has, so that damaged tables cannot hold it up for ever.
    static var visitLimit: Int { 1 << 22 }

    @inline(__always)
    static func entry(_ table: UInt64, _ index: Int) -> PhysicalAddress {
        PhysicalAddress(table | UInt64(truncatingIfNeeded: index) &<< 3)
    }

    /// Refuses when a leaf, or damage, is in or below the table at `page`, whose first input address is `base`.
    static func refuseLeaves(
        in page: UInt64, from entryAddress: PhysicalAddress, level: Int, base: UInt64, _ rules: EntryRules,
        _ memory: MemoryView, visits: inout Int
    ) throws(MapError) {
        visits -= 1
        guard visits >= 0, let words = memory.words(ofPage: page) else { throw .damaged(entryAddress: entryAddress) }
        for index in 0..<512 where words[index] != 0 {
            let word = words[index]
            let iova = base | UInt64(index) &<< UInt64(12 &+ 9 &* level)
            switch Format.kind(word, level: level, rules) {
            case .notPresent: break
            case .leaf: throw .overlap(at: rules.iova(iova))
            case .invalid: throw .damaged(entryAddress: entry(page, index))
            case .table:
                try refuseLeaves(
                    in: Format.tableAddress(word, rules), from: entry(page, index),
                    level: Format.nextLevel(word, level: level), base: iova, rules, memory, visits: &visits)
            }
        }
    }

    /// Frees the table at `page` and all below it. Entries are cleared on the way, so that damaged tables end too.
    static func release(
        _ page: UInt64, level: Int, _ rules: EntryRules, _ memory: MemoryView, _ arena: inout TableArena
    ) {
        if level > 0, let words = memory.words(ofPage: page) {
            for index in 0..<512 where words[index] != 0 {
                let word = words[index]
                words[index] = 0
                if case .table = Format.kind(word, level: level, rules) {
                    release(
                        Format.tableAddress(word, rules), level: Format.nextLevel(word, level: level), rules, memory,
                        &arena)
                }
            }
        }
        arena.free(PhysicalAddress(page))
    }
}
