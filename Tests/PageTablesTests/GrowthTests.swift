import IOMMUModel
import PageTables
import Testing

/// AMD v1 trees that get new roots (reference/page-table-formats.md 1.1, dynamic top).
struct GrowthTests {
    static func domain(topLevel: Int, maximumAddressBits: Int? = nil, frames: Int = 64) throws -> TestDomain {
        try TestDomain(
            PageTableConfiguration(format: .amdV1, topLevel: topLevel, maximumAddressBits: maximumAddressBits)!,
            frames: frames)
    }

    /// KUnit `test_increase_level`.
    @Test(arguments: [64, 57, 50, 41, 32])
    func `A page just past the top adds exactly one level, until the widest address`(bits: Int) throws {
        let domain = try Self.domain(topLevel: 0, maximumAddressBits: bits)
        try domain.map(0x3000, 0x1000, 4096)
        var oldRoots = [domain.table.root]
        while domain.configuration.topLevel < domain.configuration.maximumTopLevel {
            let top = domain.configuration.topLevel
            let next = domain.configuration.lastIOVA.rawValue + 1
            #expect(next == 1 << UInt64(12 + 9 * (top + 1)))
            let frames = domain.arena.allocatedCount
            try domain.map(next, 0x2000, 4096)
            #expect(domain.configuration.topLevel == top + 1)
            // The new root, and the way down to the new page.
            #expect(domain.arena.allocatedCount == frames + 1 + top + 1)
            // Slot 0 is a table entry to the old root, as Linux writes it.
            let entry = PageTableEntry.decode(
                domain.machine.get(domain.table.root, 0), level: top + 1, configuration: domain.configuration)
            #expect(entry.kind == .table(oldRoots.last!, nextLevel: top))
            #expect(entry.protection == .readWrite && entry.lints.isEmpty)
            #expect(domain.read(0x3000) == 0x1000 && domain.read(next) == 0x2000)
            oldRoots.append(domain.table.root)
        }
        #expect(domain.configuration.lastIOVA == IOVA(UInt64.max >> UInt64(64 - bits)))
        if bits < 64 {
            let contents = domain.contents()
            let failure = domain.failure { () throws(MapError) in try domain.map(1 << UInt64(bits), 0, 4096) }
            #expect(failure?.errno == .ERANGE)
            #expect(domain.contents() == contents)
        }
        _ = domain.unmapAll()
        #expect(domain.arena.allocatedCount == 1)
    }

    @Test func `One mapping can add several levels, and covers what the old tree reached`() throws {
        for (first, last) in [(1 << 60, 1 << 60 | 0xfff), (0x1000, 1 << 32 - 1), (0x3f_f000, 1 << 49)]
            as [(UInt64, UInt64)]
        {
            let domain = try Self.domain(topLevel: 1, frames: 4096)
            try domain.map(0, 0xaa_a000, 4096)
            let bytes = last & ~0xfff - first + 0x1000
            var oracle = LeafOracle(Shape("amdv1", domain.configuration))
            oracle.map(0, 0xaa_a000, 4096, .readWrite)
            oracle.map(first, first & 0xffff_ffff, bytes, .readWrite)
            try domain.map(first, first & 0xffff_ffff, bytes)
            #expect(domain.leaves() == oracle.leaves)
            #expect(domain.scan().defects.isEmpty)
            #expect(domain.scan().nodeCount == domain.arena.allocatedCount)
        }
    }

    @Test func `A leaf that stands above the old top raises it, and replaces an old tree that maps nothing`() throws {
        let domain = try Self.domain(topLevel: 0)
        try domain.map(0x1000, 0x1000, 4096)
        #expect(domain.unmap(0x1000, 4096) == 4096)
        // 2 MiB are all that the old root reached, but as one leaf they stand one level up.
        try domain.map(0, 0x40_0000, 0x20_0000)
        #expect(domain.configuration.topLevel == 1)
        #expect(domain.leaves().map(\.log2) == [21])
        #expect(domain.arena.allocatedCount == 1)
        // The same over several levels: the tables between are made and freed again.
        let far = try Self.domain(topLevel: 0)
        try far.map(0, 1 << 32, 1 << 31)
        #expect(far.configuration.topLevel == 2)
        #expect(far.leaves().map(\.log2) == [31])
        #expect(far.arena.allocatedCount == 1)
    }

    @Test func `What cannot be mapped does not grow the tree`() throws {
        // Mapped in the old tree, under a leaf of several levels up, and no frame left.
        for (iova, bytes, frames) in [(0, 1 << 40, 64), (0x1000, 1 << 31, 4096), (1 << 62, 4096, 5)]
            as [(UInt64, UInt64, Int)]
        {
            let domain = try Self.domain(topLevel: 1, frames: frames)
            try domain.map(0x10_0000, 0x1000, 4096)
            let before = domain.table
            let contents = domain.contents()
            let state = domain.arena.state
            let failure = domain.failure { () throws(MapError) in try domain.map(iova, iova & 0xffff_f000, bytes) }
            #expect(failure == (frames == 5 ? .outOfTables : .overlap(at: IOVA(0x10_0000))))
            #expect(domain.table == before)
            #expect(domain.contents() == contents)
            #expect(domain.arena.state == state)
        }
    }

    @Test func `A tree takes exactly the frames that it needs to grow`() throws {
        // Root and one table; four new roots, and five tables down from the last one's second slot.
        let needed = 2 + 4 + 5
        for frames in [needed, needed - 1] {
            let domain = try Self.domain(topLevel: 1, frames: frames)
            try domain.map(0, 0x1000, 4096)
            let failure = domain.failure { () throws(MapError) in try domain.map(1 << 57, 0x1000, 4096) }
            #expect(failure == (frames == needed ? nil : .outOfTables))
            #expect(domain.arena.allocatedCount == (failure == nil ? needed : 2))
        }
    }

    @Test func `A configuration grows only where a tree uses all its levels`() {
        func shape(_ bits: Int?, _ most: Int?) -> PageTableConfiguration? {
            PageTableConfiguration(format: .amdV1, topLevel: 2, addressBits: bits, maximumAddressBits: most)
        }
        #expect(shape(nil, nil)?.maximumTopLevel == 5)
        #expect(shape(nil, nil)?.maximumAddressBits == 64)
        #expect(shape(32, nil)?.maximumTopLevel == 2)
        #expect(shape(32, nil)?.maximumAddressBits == 32)
        #expect(shape(32, 48) == nil)
        #expect(shape(nil, 38) == nil)
        #expect(shape(nil, 49)?.maximumTopLevel == 4)
        let fixed = PageTableConfiguration(format: .x86_64, topLevel: 3, addressBits: 47, maximumAddressBits: 64)
        #expect(fixed?.maximumTopLevel == 3 && fixed?.maximumAddressBits == 47)
    }
}
