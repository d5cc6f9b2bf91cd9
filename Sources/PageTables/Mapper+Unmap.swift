import IOMMUModel

extension Mapper {
    /// Removes what is mapped in `first...last`, which is inside the input width; answers the bytes removed.
    static func unmap(
        _ configuration: PageTableConfiguration, root: UInt64, first: UInt64, last: UInt64, memory: MemoryView,
        arena: inout TableArena
    ) -> UInt64 {
        unmap(
            configuration.rules, root, level: configuration.topLevel, first: first, last: last, memory, &arena)
    }

    private static func unmap(
        _ rules: EntryRules, _ page: UInt64, level: Int, first: UInt64, last: UInt64, _ memory: MemoryView,
        _ arena: inout TableArena
    ) -> UInt64 {
        guard let words = memory.words(ofPage: page) else { return 0 }
        let shift = UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
        let size: UInt64 = 1 &<< shift
        var removed: UInt64 = 0
        var isChanged = false
        for index in Int(first &>> shift & 511)...Int(last &>> shift & 511) {
            let word = words[index]
            if word == 0 { continue }
            switch Format.kind(word, level: level, rules) {
            case .leaf:
                words[index] = 0
                removed &+= size
                isChanged = true
            case .table:
                let base = (first &>> shift & ~511 | UInt64(index)) &<< shift
                let (from, to) = (max(first, base), min(last, base &+ (size &- 1)))
                let next = Format.tableAddress(word, rules)
                let isWhole = to &- from == size &- 1
                // Cleared first: a table that damage made its own child is then empty when it is met again.
                if isWhole {
                    words[index] = 0
                    isChanged = true
                }
                removed &+= unmap(rules, next, level: level &- 1, first: from, last: to, memory, &arena)
                if isWhole { arena.free(PhysicalAddress(next)) }
            case .notPresent, .reserved: break
            }
        }
        if isChanged { arena.markDirty(page) }
        return removed
    }
}
