import IOMMUModel

extension Mapper {
    /// Removes what is mapped in the linear addresses `first...last`, which are inside the input width; answers the bytes
    /// removed.
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
                removed &+= clearLeaf(words, index, level: level, rules) &* size
                isChanged = true
            case .table:
                let base = (first &>> shift & ~511 | UInt64(index)) &<< shift
                let (from, to) = (max(first, base), min(last, base &+ (size &- 1)))
                let next = Format.tableAddress(word, rules)
                let nextLevel = Format.nextLevel(word, level: level)
                let isWhole = to &- from == size &- 1
                // Cleared first: a table that damage made its own child is then empty when it is met again.
                if isWhole {
                    words[index] = 0
                    isChanged = true
                }
                // A table further down than the next level has only the first part of the slot.
                let reach = base &+ ((1 &<< UInt64(truncatingIfNeeded: 21 &+ 9 &* nextLevel)) &- 1)
                if !Format.hasNextLevel || from <= reach {
                    removed &+= unmap(
                        rules, next, level: nextLevel, first: from, last: min(to, reach), memory, &arena)
                }
                if isWhole { arena.free(PhysicalAddress(next)) }
            case .notPresent, .invalid: break
            }
        }
        if isChanged { arena.markDirty(page) }
        return removed
    }

    /// Clears all slots of the leaf that stands at `index`, wherever in the leaf that is; answers how many.
    private static func clearLeaf(
        _ words: UnsafeMutablePointer<UInt64>, _ index: Int, level: Int, _ rules: EntryRules
    ) -> UInt64 {
        let word = words[index]
        words[index] = 0
        guard Format.hasContiguousLeaves else { return 1 }
        var cleared: UInt64 = 1
        for item in LeafItems.slots(of: Format.self, word, at: index, level: level, rules)
        where LeafItems.areAlike(Format.self, words[item], word) {
            words[item] = 0
            cleared += 1
        }
        return cleared
    }
}
