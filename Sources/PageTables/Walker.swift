import IOMMUModel

/// Reads page tables as the hardware does. Bounded by the number of levels; never reads outside the memory it is given.
public enum Walker {
    /// Translates one access from the root table at `root` (its low 12 bits do not count).
    ///
    /// With ``PageTableConfiguration/accessedDirty`` a successful translation sets the accessed bit in every entry used
    /// and, on a write, the dirty bit in the leaf; a fault changes nothing.
    @inlinable
    public static func translate(
        _ configuration: PageTableConfiguration, root: PhysicalAddress, memory: MemoryView, iova: IOVA, access: Access
    ) -> TranslationResult {
        walkTables(configuration, root: root, memory: memory, iova: iova, access: access)
    }

    /// As ``translate(_:root:memory:iova:access:)``.
    @inlinable
    public static func translate(
        _ stage: TranslationStage, memory: MemoryView, iova: IOVA, access: Access
    ) -> TranslationResult {
        walkTables(stage.configuration, root: stage.root, memory: memory, iova: iova, access: access)
    }
}

/// ``Walker/translate(_:root:memory:iova:access:)``; outside of a type because the type, an argument that nobody needs,
/// costs every call a second one.
@inline(never) @usableFromInline
func walkTables(
    _ configuration: PageTableConfiguration, root: PhysicalAddress, memory: MemoryView, iova: IOVA, access: Access
) -> TranslationResult {
    switch configuration.format {
    case .vtdSecondStage:
        FormatWalker<VTDSecondStage>.translate(
            configuration, root: root.rawValue & ~0xfff, memory: memory, iova: iova.rawValue, access: access)
    case .amdV1:
        FormatWalker<AMDv1>.translate(
            configuration, root: root.rawValue & ~0xfff, memory: memory, iova: iova.rawValue, access: access)
    case .x86_64:
        FormatWalker<X86_64>.translate(
            configuration, root: root.rawValue & ~0xfff, memory: memory, iova: iova.rawValue, access: access)
    case .armv8Stage2:
        FormatWalker<Armv8Stage2>.translate(
            configuration, root: root.rawValue & ~0xfff, memory: memory, iova: iova.rawValue, access: access)
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
        guard (Format.canSignExtend ? iova &+ rules.bias : iova) & rules.beyond == 0,
            memory.isPrimary(root)
        else { return generalTranslate(configuration, root: root, memory: memory, iova: iova, access: access) }
        var shift = UInt64(truncatingIfNeeded: 12 &+ 9 &* configuration.topLevel)
        var mark = Format.mark(level: configuration.topLevel)
        var table = root
        var rights = Format.rootRights(rules)
        while shift != 12 {
            let word = memory.primaryWords(ofPage: table)[Int(truncatingIfNeeded: iova &>> shift & 511)]
            table = Format.tableAddress(word, rules)
            guard Format.isTable(word, mark: mark, rules), memory.isPrimary(table) else {
                return generalTranslate(configuration, root: root, memory: memory, iova: iova, access: access)
            }
            rights &= Format.tableRights(word)
            shift &-= 9
            mark &-= Format.markStep
        }
        let index = Int(truncatingIfNeeded: iova &>> 12 & 511)
        return result(
            memory.primaryWords(ofPage: table)[index], at: entryAddress(table, index), level: 0, rights: rights, rules,
            iova: iova, access: access)
    }

    /// Any walk, without setting bits.
    @inline(never)
    private static func generalTranslate(
        _ configuration: PageTableConfiguration, root: UInt64, memory: MemoryView, iova: UInt64, access: Access
    ) -> TranslationResult {
        switch find(configuration, root: root, pages: HostPages(), memory: memory, iova: iova) {
        case .word(let word, let place, let rights):
            result(
                word, at: PhysicalAddress(place.entry), level: place.level, rights: rights, configuration.rules,
                iova: iova, access: access)
        case .result(let result, _), .refused(let result, _): result
        }
    }

    /// What a walk ends in whose last entry is `word`, which is not a table; `rights` are those of the levels above.
    @inline(__always)
    static func result(
        _ word: UInt64, at entry: PhysicalAddress, level: Int, rights: UInt8, _ rules: EntryRules, iova: UInt64,
        access: Access
    ) -> TranslationResult {
        switch Format.kind(word, level: level, rules) {
        case .leaf: break
        case .invalid(let fault): return .fault(fault, level: level, entryAddress: entry)
        case .notPresent, .table: return .fault(.notPresent, level: level, entryAddress: entry)
        }
        let rights = rights & Format.rights(word) | Format.grantedRights
        let missing = EntryRights.needs(access) & ~rights
        guard missing == 0 else {
            return .fault(EntryRights.fault(missing), level: level, entryAddress: entry)
        }
        let log2 = Format.leafSizeLog2(word, level: level, rules)
        // Of a leaf in several slots that each hold their own address, this slot's.
        let reach = Format.hasContiguousLeaves ? log2 : UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
        let inside = iova & ((1 &<< reach) &- 1)
        return .translated(
            Translation(
                pa: PhysicalAddress(Format.leafAddress(word, level: level, rules) | inside),
                pageSizeLog2: Int(truncatingIfNeeded: log2), level: level, rights: rights, entryAddress: entry))
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
        var level = configuration.topLevel
        while let words = memory.words(ofPage: table) {
            let index = Int(truncatingIfNeeded: iova &>> UInt64(12 + 9 * level) & 511)
            let word = words[index]
            let isLeaf = level == leafLevel
            let marked =
                word | (isLeaf || Format.marksTables ? Format.accessedBit : 0) | (isLeaf ? dirty : 0)
            if marked != word { words[index] = marked }
            if level <= leafLevel { return }
            table = Format.tableAddress(word, configuration.rules)
            level = Format.nextLevel(word, level: level)
        }
    }
}
