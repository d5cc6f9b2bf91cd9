import IOMMUModel

/// Reads page tables as the hardware does. Bounded by the number of levels; never reads outside the memory it is given.
public enum Walker {
    /// Translates one access from the root table at `root` (its low 12 bits do not count).
    ///
    /// With ``PageTableConfiguration/accessedDirty`` a successful translation sets the accessed bit in every entry used
    /// and, on a write, the dirty bit in the leaf; a fault changes nothing.
    public static func translate(
        _ configuration: PageTableConfiguration, root: PhysicalAddress, memory: MemoryView, iova: IOVA, access: Access
    ) -> TranslationResult {
        switch configuration.format {
        case .vtdSecondStage:
            FormatWalker<VTDSecondStage>.translate(
                configuration, root: root.rawValue & ~0xfff, memory: memory, iova: iova.rawValue, access: access)
        }
    }
}

/// The walk, specialised per format.
///
/// The walk that is nearly always taken (tables in the largest segment, a leaf at level 0, no bits to set) is one loop
/// without a call in it; all else leaves it by a tail call.
enum FormatWalker<Format: PageTableFormat> {
    @inline(__always)
    static func translate(
        _ configuration: PageTableConfiguration, root: UInt64, memory: MemoryView, iova: UInt64, access: Access
    ) -> TranslationResult {
        if configuration.accessedDirty {
            return updatingTranslate(configuration, root: root, memory: memory, iova: iova, access: access)
        }
        let rules = configuration.rules
        guard iova &>> UInt64(truncatingIfNeeded: configuration.addressBits) == 0,
            var words = memory.primaryWords(ofPage: root)
        else { return generalTranslate(configuration, root: root, memory: memory, iova: iova, access: access) }
        var shift = UInt64(truncatingIfNeeded: 12 &+ 9 &* configuration.topLevel)
        var table = root
        var rights: UInt8 = 3
        while shift != 12 {
            let word = words[Int(truncatingIfNeeded: iova &>> shift & 511)]
            table = Format.tableAddress(word, rules)
            guard Format.isTable(word, rules), let below = memory.primaryWords(ofPage: table) else {
                return generalTranslate(configuration, root: root, memory: memory, iova: iova, access: access)
            }
            rights &= Format.rights(word)
            words = below
            shift &-= 9
        }
        let index = Int(truncatingIfNeeded: iova &>> 12 & 511)
        return leafResult(
            words[index], at: entryAddress(table, index), level: 0, rights: rights, rules, iova: iova, access: access)
    }

    /// Any walk, without setting bits.
    @inline(never)
    private static func generalTranslate(
        _ configuration: PageTableConfiguration, root: UInt64, memory: MemoryView, iova: UInt64, access: Access
    ) -> TranslationResult {
        let rules = configuration.rules
        guard iova &>> UInt64(truncatingIfNeeded: configuration.addressBits) == 0 else {
            return .fault(.vaOutOfRange, level: nil, entryAddress: nil)
        }
        var table = root
        var level = configuration.topLevel
        var rights: UInt8 = 3
        while true {
            guard let words = memory.words(ofPage: table) else {
                return .absent(page: PhysicalAddress(table), level: level)
            }
            let index = Int(truncatingIfNeeded: iova &>> UInt64(truncatingIfNeeded: 12 &+ 9 &* level) & 511)
            let word = words[index]
            guard Format.kind(word, level: level, rules) == .table else {
                return leafResult(
                    word, at: entryAddress(table, index), level: level, rights: rights, rules, iova: iova,
                    access: access)
            }
            rights &= Format.rights(word)
            table = Format.tableAddress(word, rules)
            level &-= 1
        }
    }

    /// What a walk ends in whose last entry is `word`, which is not a table; `rights` are those of the levels above.
    @inline(__always)
    private static func leafResult(
        _ word: UInt64, at entry: PhysicalAddress, level: Int, rights: UInt8, _ rules: EntryRules, iova: UInt64,
        access: Access
    ) -> TranslationResult {
        let kind = Format.kind(word, level: level, rules)
        guard kind == .leaf else {
            return .fault(kind == .reserved ? .reservedBits : .notPresent, level: level, entryAddress: entry)
        }
        let rights = rights & Format.rights(word)
        guard rights & (access == .read ? 1 : 2) != 0 else {
            return .fault(access == .read ? .permissionRead : .permissionWrite, level: level, entryAddress: entry)
        }
        let shift = UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
        let inside = iova & ((1 &<< shift) &- 1)
        return .translated(
            Translation(
                pa: PhysicalAddress(Format.leafAddress(word, level: level, rules) | inside),
                pageSizeLog2: Int(truncatingIfNeeded: shift), level: level,
                protection: Protection(rawValue: rights), entryAddress: entry))
    }

    /// As ``generalTranslate``, then sets the bits that the hardware sets.
    @inline(never)
    private static func updatingTranslate(
        _ configuration: PageTableConfiguration, root: UInt64, memory: MemoryView, iova: UInt64, access: Access
    ) -> TranslationResult {
        let result = generalTranslate(configuration, root: root, memory: memory, iova: iova, access: access)
        if case .translated(let translation) = result {
            markUsed(
                configuration, root: root, memory: memory, iova: iova, leafLevel: translation.level,
                dirty: access == .write ? Format.dirtyBit : 0)
        }
        return result
    }

    @inline(__always)
    static func entryAddress(_ table: UInt64, _ index: Int) -> PhysicalAddress {
        PhysicalAddress(table | UInt64(truncatingIfNeeded: index) &<< 3)
    }

    /// Sets the accessed bit in every entry that a walk known to succeed uses, and `dirty` in its leaf.
    private static func markUsed(
        _ configuration: PageTableConfiguration, root: UInt64, memory: MemoryView, iova: UInt64, leafLevel: Int,
        dirty: UInt64
    ) {
        var table = root
        for level in (leafLevel...configuration.topLevel).reversed() {
            guard let words = memory.words(ofPage: table) else { return }
            let index = Int(truncatingIfNeeded: iova &>> UInt64(12 + 9 * level) & 511)
            let word = words[index]
            let marked = word | Format.accessedBit | (level == leafLevel ? dirty : 0)
            if marked != word { words[index] = marked }
            table = Format.tableAddress(word, configuration.rules)
        }
    }
}
