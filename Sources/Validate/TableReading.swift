import IOMMUModel
import PageTables
import Snapshot

/// The trees of one domain as they are in memory, read with their record at hand: where a page is as recorded, the record
/// is decoded, which is a fraction of its words.
struct TableReading {
    private let recorded: PageSet
    /// By the number of the recorded page: it was read, and is so.
    private(set) var isAsRecorded: [Bool]

    /// One tree.
    struct Tree {
        var tree: TableTree
        /// Pages that it has in memory and not in the record: their frames could be given to others.
        var unrecorded: [(page: PhysicalAddress, level: Int)]
    }

    /// `recorded`: the pages of all trees of the domain.
    init(_ recorded: PageSet) {
        self.recorded = recorded
        isAsRecorded = [Bool](repeating: false, count: recorded.count)
    }

    /// Reads one tree; the bits of `mask` are the hardware's. O(tables).
    mutating func scan(
        _ target: TableTarget, memory: MemoryView, ignoring mask: UInt64, budget: ScanBudget
    ) -> Tree {
        var unrecorded: [(page: PhysicalAddress, level: Int)] = []
        // Tables are mostly met in the order of their addresses.
        var number: Int?
        var next = 0
        let entries = recorded.entries
        let tree = Walker.scan(
            TranslationStage(configuration: target.configuration, root: target.root), memory: memory, budget: budget,
            ignoring: mask
        ) { page, level, words in
            let isNext = next < entries.count && entries[next].address == page && Int(entries[next].level) == level
            number = isNext ? next : recorded.index(of: page, level: UInt8(level))
            guard let number else { return 0 }
            next = number + 1
            return recorded.words(of: number, into: words)
        } visit: { table in
            if let number {
                if table.isAsExpected { isAsRecorded[number] = true }
                return
            }
            // That nothing of the domain is recorded is told otherwise.
            if entries.isEmpty { return }
            let place = entries.firstIndex(from: 0) { $0.address >= table.page }
            if place < entries.count, entries[place].address == table.page { return }
            unrecorded.append((table.page, table.level))
        }
        return Tree(tree: tree, unrecorded: unrecorded)
    }
}
