import IOMMUModel

/// All tables of one domain, decoded once: what ``Walker/scan(_:root:memory:budget:)`` found.
///
/// Holds no pointer into memory: runs and leaves are told from what was decoded, however often a page is used.
public struct TableTree: Sendable {
    /// What the words were decoded by.
    public let configuration: PageTableConfiguration
    /// The root table, 4 KiB aligned. Of a first stage: an address of the guest.
    public let root: PhysicalAddress
    /// What the scan was given; each enumeration of runs or leaves has its ``ScanBudget/runs`` anew.
    public let budget: ScanBudget
    /// What is wrong, from the top level down, in the order of first use.
    public internal(set) var defects: [TableDefect] = []
    /// False when a budget ended the scan early, so that ``defects``, runs and leaves are not all there is.
    public internal(set) var isComplete = true

    /// What the scan found, once it is over.
    var recordBuffer = GrowingBuffer<Record>().frozen()
    var itemBuffer = GrowingBuffer<Item>().frozen()
    var records: UnsafeBufferPointer<Record> { recordBuffer.elements }
    var items: UnsafeBufferPointer<Item> { itemBuffer.elements }
    /// Uses of a record after its first.
    var laterUses: [LaterUse] = []
    /// The records are in the order of their levels, from the top: no entry that skips levels was met.
    var isOrdered = true

    /// One table: a page, read as a table of one level.
    public struct Node: Sendable, Hashable {
        /// Where it is in the host's memory, 4 KiB aligned.
        public let page: PhysicalAddress
        /// Level 0 maps 4 KiB.
        public let level: Int
    }

    /// A page that more than one entry uses as a table, at one level or at several.
    public struct PageReuse: Sendable, Hashable {
        /// 4 KiB aligned.
        public let page: PhysicalAddress
        /// All uses, by level from the top, then in the order of the scan.
        public let uses: [Use]

        /// One entry that points to the page.
        public struct Use: Sendable, Hashable {
            /// The level of the table that the page is used as.
            public let level: Int
            /// The entry that points to it; `nil` for the root.
            public let entryAddress: PhysicalAddress?
        }
    }

    /// A node as it is kept. Children come after it, unless entries skip levels: see ``isOrdered``.
    struct Record: Sendable {
        var page: UInt64
        /// The first linear input address at its first use.
        var first: UInt64
        /// The entry of its first use; `.max` for the root.
        var entry: UInt64
        var firstItem: Int
        /// The record of the same page at another level, or -1.
        var samePage: Int32
        var itemCount: UInt16
        var level: Int8
        /// A leaf is somewhere in or below it.
        var hasLeaf: Bool
    }

    struct LaterUse: Sendable {
        var record: Int32
        var entry: UInt64
    }

    init(configuration: PageTableConfiguration, root: PhysicalAddress, budget: ScanBudget) {
        self.configuration = configuration
        self.root = root
        self.budget = budget
    }

    /// The number of tables: pages, counted once per level that they are used at.
    public var nodeCount: Int { records.count }

    /// Every table once, in the order of the scan: by level from the top, then by first input address; a table that an
    /// entry skips levels to (AMD v1) comes with those of the level above which it was met.
    public var nodes: [Node] {
        records.map { Node(page: PhysicalAddress($0.page), level: Int($0.level)) }
    }

    /// Every table once, ascending by page, then level.
    public var sortedNodes: [Node] {
        nodes.sorted { ($0.page, $0.level) < ($1.page, $1.level) }
    }

    /// The pages that more than one entry uses, ascending, each with all its uses.
    public var reuse: [PageReuse] {
        var uses: [UInt64: [(record: Int, entry: UInt64)]] = [:]
        for later in laterUses {
            uses[records[Int(later.record)].page, default: []].append((Int(later.record), later.entry))
        }
        for record in records where record.samePage >= 0 { uses[record.page] = uses[record.page] ?? [] }
        guard !uses.isEmpty else { return [] }
        var firstUses: [UInt64: [(record: Int, entry: UInt64)]] = [:]
        for (index, record) in records.enumerated() where uses[record.page] != nil {
            firstUses[record.page, default: []].append((index, record.entry))
        }
        func place(_ record: Int, _ offset: Int) -> (Int, Int, Int) { (-Int(records[record].level), record, offset) }
        return uses.keys.sorted().map { page in
            let all = (firstUses[page, default: []] + uses[page, default: []]).enumerated()
                .sorted { place($0.element.record, $0.offset) < place($1.element.record, $1.offset) }
            // An entry in a page of two levels was met twice, yet is one.
            var seen: Set<PageReuse.Use> = []
            let distinct = all.lazy.map { use in
                PageReuse.Use(
                    level: Int(records[use.element.record].level),
                    entryAddress: use.element.entry == .max ? nil : PhysicalAddress(use.element.entry))
            }.filter { seen.insert($0).inserted }
            return PageReuse(page: PhysicalAddress(page), uses: Array(distinct))
        }
    }
}
