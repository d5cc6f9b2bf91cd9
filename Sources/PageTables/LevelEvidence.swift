import IOMMUModel

/// Whether the tables of a tree look as if they had been built for another number of levels than they are read with:
/// the structure may be clean all the same.
///
/// A walk that begins too low takes the entries above the lowest tables for leaves. What those map are tables, and so
/// are nearly all of them; a real leaf maps a page that looks like a table only by chance.
public struct LevelEvidence: Sendable, Hashable {
    /// The leaves that were looked at: the first ``sampleSize`` of the tables at level 0, fewer where those settle it.
    public private(set) var leaves = 0
    /// Those whose word is that of a large leaf, one level up (VT-d second stage: PS, and the address is 2 MiB aligned;
    /// drivers write no PS at level 0, where the hardware ignores it).
    public private(set) var largeLeaves = 0
    /// Those that map a page in memory which decodes as a table of the same format.
    public private(set) var tableLeaves = 0
    /// The pages that ``tableLeaves`` map, each once, ascending.
    public private(set) var tables: [PhysicalAddress] = []
    /// The level that all entries of the root table say it has, when that is not the one it is read at (AMD v1: every
    /// entry names the level of the table it points to). `nil` when they say nothing, or differ.
    public private(set) var statedTopLevel: Int?

    /// Leaves that are looked at, at most.
    public static let sampleSize = 64
    /// Tables of level 0 that are looked at, at most: a damaged tree may have many without a leaf.
    static let tableLimit = 1024
    /// Leaves that must look wrong, at least. A sound tree with a handful of leaves may map two or three pages that
    /// hold a processor's page tables; three quarters of a sample with four or more it does not.
    static let least = 4

    /// True when at least four of the sampled leaves, and three quarters of them, look like entries of a higher level.
    /// (Of tables that a kernel built, read with a level less, all do but those that lead to a table emptied by
    /// unmaps.)
    public var isConvincing: Bool {
        let suspicious = largeLeaves + tableLeaves
        return suspicious >= Self.least && suspicious * 4 >= leaves * 3
    }

    /// Looks at `tree`, whose words, and as many of the pages that it maps as are known, are in `memory`. Bounded by
    /// the sample, whatever the size of the tree.
    public init(_ tree: TableTree, memory: MemoryView) {
        readRoot(tree, memory)
        var pages: Set<UInt64> = []
        var visited = 0
        // A page that the same tree uses higher up as well is reached by a bad pointer, not read with a wrong width.
        for record in tree.records where record.level == 0 && record.samePage < 0 && visited < Self.tableLimit {
            visited += 1
            guard let words = memory.words(ofPage: record.page) else { continue }
            for index in 0..<512 where words[index] != 0 {
                let entry = PageTableEntry.decode(words[index], level: 0, configuration: tree.configuration)
                guard case .leaf(let address, let pageSizeLog2) = entry.kind, pageSizeLog2 == 12 else { continue }
                leaves += 1
                if Self.isLarge(entry, address, tree.configuration) {
                    largeLeaves += 1
                } else if Self.isTable(address.rawValue, tree.configuration, memory) {
                    tableLeaves += 1
                    pages.insert(address.rawValue)
                }
                let sound = leaves - largeLeaves - tableLeaves
                // With more than a quarter of the sample sound, the rest cannot convince any more.
                if leaves == Self.sampleSize || sound * 4 > Self.sampleSize {
                    tables = pages.sorted().map { PhysicalAddress($0) }
                    return
                }
            }
        }
        tables = pages.sorted().map { PhysicalAddress($0) }
    }

    private static func isLarge(
        _ leaf: PageTableEntry, _ address: PhysicalAddress, _ configuration: PageTableConfiguration
    ) -> Bool {
        configuration.format == .vtdSecondStage && leaf.word & 0x80 != 0 && address.isAligned(toLog2: 21)
    }

    /// True when the page is in memory, not empty, and each of its words is 0 or an entry that maps something.
    private static func isTable(
        _ page: UInt64, _ configuration: PageTableConfiguration, _ memory: MemoryView
    ) -> Bool {
        guard let words = memory.words(ofPage: page) else { return false }
        var used = 0
        for index in 0..<512 where words[index] != 0 {
            let entry = PageTableEntry.decode(words[index], level: 0, configuration: configuration)
            guard case .leaf(let address, _) = entry.kind, address.rawValue != 0 else { return false }
            used += 1
        }
        return used > 0
    }

    private mutating func readRoot(_ tree: TableTree, _ memory: MemoryView) {
        let top = tree.configuration.topLevel
        guard tree.configuration.format == .amdV1, let words = memory.page(at: tree.root) else { return }
        var stated: Int?
        for index in 0..<512 where words[index] & 1 != 0 {
            // Our levels count from 0: the next level's AMD number is the level of the table that the entry stands in.
            let level = Int(truncatingIfNeeded: words[index] &>> 9 & 7)
            guard (1...6).contains(level), stated ?? level == level else { return }
            stated = level
        }
        statedTopLevel = stated == top ? nil : stated
    }
}
