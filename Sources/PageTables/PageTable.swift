import IOMMUModel

/// A tree of page tables that can be changed: its shape and its root. The tables are in memory, their frames an arena's.
///
/// The one mapper of the project. Memory and arena are parameters, so that a table is a value that can be recorded.
public struct PageTable: Sendable, Hashable {
    /// The shape of the tree. A mapping can raise its root (AMD v1); nothing else changes it.
    public private(set) var configuration: PageTableConfiguration
    /// The root table, 4 KiB aligned.
    public private(set) var root: PhysicalAddress

    /// The tree that is at `root` (4 KiB aligned) already. To be able to free its tables, adopt them into the arena.
    public init(configuration: PageTableConfiguration, root: PhysicalAddress) {
        precondition(root.pageOffset == 0, "a root table is 4 KiB aligned")
        self.configuration = configuration
        self.root = root
    }

    /// A tree that maps nothing: one frame.
    public static func create(
        _ configuration: PageTableConfiguration, arena: inout TableArena, memory: MemoryView
    ) throws(MapError) -> PageTable {
        guard arena.highestFrame <= configuration.lastPhysicalAddress.rawValue else {
            throw .addressTooWide(pa: PhysicalAddress(arena.highestFrame), byteCount: 4096)
        }
        guard let root = arena.allocate(memory: memory) else { throw .outOfTables }
        return PageTable(configuration: configuration, root: root)
    }

    /// Maps `byteCount` bytes at `iova` to `pa`, all 4 KiB aligned, with the largest pages that alignment allows.
    ///
    /// Tables that earlier mappings left empty are replaced by larger leaves and freed. An AMD v1 tree gets as many new
    /// roots as the range needs, up to ``PageTableConfiguration/maximumTopLevel``: then ``root`` and ``configuration``
    /// are others. On an error nothing that translates has changed and no frame was taken. Linear in the entries written,
    /// plus one walk.
    public mutating func map(
        iova: IOVA, pa: PhysicalAddress, byteCount: UInt64, protection: Protection, options: MapOptions = [],
        memory: MemoryView, arena: inout TableArena
    ) throws(MapError) {
        switch configuration.format {
        case .vtdSecondStage:
            try map(VTDSecondStage.self, iova, pa, byteCount, protection, options, memory, &arena)
        case .amdV1: try map(AMDv1.self, iova, pa, byteCount, protection, options, memory, &arena)
        case .x86_64: try map(X86_64.self, iova, pa, byteCount, protection, options, memory, &arena)
        case .armv8Stage2: try map(Armv8Stage2.self, iova, pa, byteCount, protection, options, memory, &arena)
        }
    }

    @inline(__always)
    private mutating func map<Format: PageTableFormat>(
        _ format: Format.Type, _ iova: IOVA, _ pa: PhysicalAddress, _ byteCount: UInt64, _ protection: Protection,
        _ options: MapOptions, _ memory: MemoryView, _ arena: inout TableArena
    ) throws(MapError) {
        if Mapper<Format>.mapSimple(
            configuration.rules, root: root.rawValue, top: configuration.topLevel, iova: iova.rawValue,
            pa: pa.rawValue, byteCount: byteCount, protection: protection, options: options, memory: memory,
            arena: &arena)
        {
            return
        }
        try Mapper<Format>.map(
            &self, iova: iova.rawValue, pa: pa.rawValue, byteCount: byteCount, protection: protection,
            options: options, memory: memory, arena: &arena)
    }

    /// The tree under a new root at `level`.
    mutating func grow(to level: Int, root: PhysicalAddress) {
        configuration = configuration.grown(to: level)
        self.root = root
    }

    /// Removes what is mapped in `byteCount` bytes from `iova` on (4 KiB aligned) and answers how many bytes were.
    ///
    /// A leaf that is only partly in the range is removed whole, so the answer can be larger than `byteCount`; holes
    /// count nothing. Tables whose whole span is in the range are freed. A range that is misaligned, or begins beyond
    /// the input width, removes nothing; one that ends beyond it is cut there (sign-extended: at the end of its half).
    public mutating func unmap(
        iova: IOVA, byteCount: UInt64, memory: MemoryView, arena: inout TableArena
    ) -> UInt64 {
        guard (iova.rawValue | byteCount) & 0xfff == 0, byteCount > 0, configuration.contains(iova) else { return 0 }
        let first = configuration.rules.linear(iova.rawValue)
        let limit = configuration.rules.lastLinear(ofRangeAt: first)
        let last = first + min(byteCount - 1, limit - first)
        switch configuration.format {
        case .vtdSecondStage:
            return Mapper<VTDSecondStage>.unmap(
                configuration, root: root.rawValue, first: first, last: last, memory: memory, arena: &arena)
        case .amdV1:
            return Mapper<AMDv1>.unmap(
                configuration, root: root.rawValue, first: first, last: last, memory: memory, arena: &arena)
        case .x86_64:
            return Mapper<X86_64>.unmap(
                configuration, root: root.rawValue, first: first, last: last, memory: memory, arena: &arena)
        case .armv8Stage2:
            return Mapper<Armv8Stage2>.unmap(
                configuration, root: root.rawValue, first: first, last: last, memory: memory, arena: &arena)
        }
    }

    /// Frees every table of the tree, the root included, and answers how many of them were the arena's.
    ///
    /// A page that a damaged tree uses more than once is freed once. The value must not be used afterwards.
    @discardableResult
    public consuming func destroy(memory: MemoryView, arena: inout TableArena) -> Int {
        let tree = Walker.scan(
            configuration, root: root, memory: memory, budget: ScanBudget(pages: .max, defects: 0))
        return tree.nodes.reversed().reduce(0) { $0 + (arena.free($1.page) ? 1 : 0) }
    }
}
