import IOMMUModel
import PageTables
import Testing

/// The map and unmap properties of the kernel's KUnit suites (reference/page-table-formats.md section 4).
struct MapTests {
    static let widths = [39, 48, 57]
    /// KUnit's fixed output address.
    static let dense: UInt64 = 0x74a7_1445_dead_beef & ((1 << 52) - 1)

    /// A tree with one smallest page at the highest address, so that every level has a table.
    static func chained(bits: Int) throws -> TestDomain {
        let domain = try TestDomain(configuration(bits: bits))
        let top = domain.configuration.lastIOVA.rawValue & ~0xfff
        try domain.map(top, dense & ~0xfff, 4096)
        let trace = Walker.trace(
            domain.configuration, root: domain.table.root, memory: domain.view, iova: IOVA(top), access: .read)
        #expect(trace.steps.count == domain.configuration.topLevel + 1)
        #expect(trace.steps.allSatisfy { $0.entryAddress.pageOffset == 511 * 8 })
        return domain
    }

    @Test(arguments: widths, [12, 21, 30])
    func `One mapping of every size translates every 4K inside, is one leaf, and goes away`(bits: Int, log2: Int) throws
    {
        let domain = try Self.chained(bits: bits)
        let size: UInt64 = 1 << UInt64(log2)
        for pa in [Self.dense & ~(size - 1), 0, (1 << 52) - size] {
            let iova = size
            try domain.map(iova, pa, size)
            var wrong = 0
            for offset in stride(from: 0, to: size, by: 4096) where domain.read(iova + offset + 8) != pa + offset + 8 {
                wrong += 1
            }
            #expect(wrong == 0)
            #expect(domain.read(iova - 1) == nil)
            #expect(domain.read(iova + size) == nil)
            #expect(domain.leaves().map(\.log2) == [log2, 12])
            #expect(domain.unmap(iova, size) == size)
            #expect(domain.leaves().count == 1)
        }
        domain.table.destroy(memory: domain.view, arena: &domain.arena)
        #expect(domain.arena.allocatedCount == 0)
    }

    @Test(arguments: widths)
    func `The index fields of the levels tile the address`(bits: Int) throws {
        let domain = try TestDomain(configuration(bits: bits))
        let iovas: [UInt64] = [0] + (12..<bits).map { 1 << UInt64($0) }
        for (number, iova) in iovas.enumerated() { try domain.map(iova, UInt64(number + 1) << 12, 4096) }
        for (number, iova) in iovas.enumerated() { #expect(domain.read(iova) == UInt64(number + 1) << 12) }
        for first in 12..<bits {
            for second in 12..<first { #expect(domain.read(1 << UInt64(first) | 1 << UInt64(second)) == nil) }
        }
    }

    @Test(arguments: widths)
    func `The last page of the input width can be mapped, one more cannot`(bits: Int) throws {
        let domain = try TestDomain(configuration(bits: bits, haw: 46))
        let end: UInt64 = 1 << UInt64(bits)
        try domain.map(end - 4096, 0x1000, 4096)
        #expect(domain.read(end - 1) == 0x1fff)
        let contents = domain.contents()
        func failure(_ iova: UInt64, _ pa: UInt64, _ bytes: UInt64, _ protection: Protection = .read) -> MapError? {
            domain.failure { () throws(MapError) in try domain.map(iova, pa, bytes, protection) }
        }
        #expect(failure(end, 0, 4096) == .outOfRange(iova: IOVA(end), byteCount: 4096))
        #expect(failure(end - 8192, 0, 12288)?.errno == .ERANGE)
        #expect(failure(.max & ~0xfff, 0, 8192)?.errno == .ERANGE)
        #expect(failure(0, 1 << 46, 4096) == .addressTooWide(pa: PhysicalAddress(1 << 46), byteCount: 4096))
        #expect(failure(0, (1 << 46) - 4096, 8192)?.errno == .ERANGE)
        #expect(failure(0, .max & ~0xfff, 8192)?.errno == .ERANGE)
        #expect(failure(1, 0, 4096)?.errno == .EINVAL)
        #expect(failure(0, 8, 4096)?.errno == .EINVAL)
        #expect(failure(0, 0, 4097)?.errno == .EINVAL)
        #expect(failure(0, 0, 0)?.errno == .EINVAL)
        #expect(failure(0, 0, 4096, []) == .noAccess)
        #expect(domain.contents() == contents)
        #expect(domain.unmap(end, 4096) == 0)
        #expect(domain.unmap(0, 100) == 0)
        #expect(domain.unmap(8, 4096) == 0)
        #expect(domain.unmap(0, 0) == 0)
        #expect(domain.unmap(4096, .max & ~0xfff) == 4096)
    }

    @Test(arguments: [20, 21, 29, 30, 31])
    func `A leaf that reaches beyond a narrow input width is refused`(bits: Int) throws {
        let shape = try #require(PageTableConfiguration(topLevel: 2, addressBits: bits))
        let domain = try TestDomain(shape)
        for log2 in [21, 30] where log2 != bits {
            let size: UInt64 = 1 << UInt64(log2)
            let failure = domain.failure { () throws(MapError) in try domain.map(0, 0, size) }
            #expect(failure == (log2 > bits ? .outOfRange(iova: IOVA(0), byteCount: size) : nil), "2^\(log2)")
            #expect(domain.unmap(0, size) == (failure == nil ? size : 0))
        }
    }

    /// KUnit `test_map_table_to_oa`.
    @Test(arguments: widths, [21, 30])
    func `Larger leaves replace the tables that small ones left, and free them`(bits: Int, log2: Int) throws {
        let domain = try Self.chained(bits: bits)
        let frames = domain.arena.allocatedCount
        let size: UInt64 = 1 << UInt64(log2)
        let iova = 3 * size
        // Not congruent, so all small pages.
        try domain.map(iova, size + 0x1000, size)
        let full = domain.arena.allocatedCount
        #expect(full > frames)
        // Never a whole table at a time, so that the tables stay.
        for offset in stride(from: 0, to: size, by: 1 << 20) {
            #expect(domain.unmap(iova + offset, 1 << 20) == 1 << 20)
        }
        #expect(domain.arena.allocatedCount == full)
        #expect(domain.leaves().count == 1)
        try domain.map(iova, 5 * size, size)
        #expect(domain.read(iova + size - 1) == 6 * size - 1)
        #expect(domain.leaves().map(\.log2) == [log2, 12])
        #expect(domain.arena.allocatedCount == full - (log2 == 21 ? 1 : 513))
        #expect(domain.unmap(iova, size) == size)
        // The same in a range of several leaves.
        try domain.map(iova, size + 0x1000, 2 * size)
        for offset in stride(from: 0, to: 2 * size, by: 1 << 20) { _ = domain.unmap(iova + offset, 1 << 20) }
        try domain.map(iova - 4096, 5 * size - 4096, 2 * size + 8192)
        #expect(domain.leaves().map(\.log2) == [12, log2, log2, 12, 12])
        #expect(Set(domain.scan().nodes.map(\.page)).count == domain.arena.allocatedCount)
        domain.table.destroy(memory: domain.view, arena: &domain.arena)
        #expect(domain.arena.allocatedCount == 0)
    }

    @Test(arguments: widths)
    func `A left-over table that is not empty is not replaced`(bits: Int) throws {
        let domain = try TestDomain(configuration(bits: bits))
        try domain.map(0x20_0000 + 0x1f_f000, 0x1000, 4096)
        let contents = domain.contents()
        let one = domain.failure { () throws(MapError) in try domain.map(0x20_0000, 0x20_0000, 0x20_0000) }
        #expect(one == .overlap(at: IOVA(0x3f_f000)))
        let many = domain.failure { () throws(MapError) in try domain.map(0, 0, 0x60_0000) }
        #expect(many == .overlap(at: IOVA(0x3f_f000)))
        let giant = domain.failure { () throws(MapError) in try domain.map(0, 0, 1 << 30) }
        #expect(giant == .overlap(at: IOVA(0x3f_f000)))
        #expect(domain.contents() == contents)
    }

    /// KUnit `test_unmap_split`.
    @Test(arguments: widths, [21, 30])
    func `Unmapping a part of a large leaf removes it whole and not its neighbour`(bits: Int, log2: Int) throws {
        let domain = try Self.chained(bits: bits)
        let size: UInt64 = 1 << UInt64(log2)
        for part in [0, size - 4096, size / 2 & ~0xfff] {
            try domain.map(size, 4 * size, 2 * size)
            #expect(domain.leaves().map(\.log2) == [log2, log2, 12])
            #expect(domain.unmap(size + part, 4096) == size)
            #expect(domain.read(size) == nil)
            #expect(domain.read(2 * size) == 5 * size)
            #expect(domain.unmap(2 * size, size) == size)
        }
    }

    /// KUnit `test_pgsize_boundary`.
    @Test(arguments: widths)
    func `A range that ends on a page-size boundary maps`(bits: Int) throws {
        let domain = try TestDomain(configuration(bits: bits))
        try domain.map(0xfef8_0000, 0x20_8b95_d000, 0x2_0000)
        #expect(domain.read(0xfef9_ffff) == 0x20_8b97_cfff)
        #expect(domain.leaves().count == 32)
    }

    /// KUnit `test_mixed`.
    @Test(arguments: widths)
    func `The mixed identity range is exactly 20 leaves`(bits: Int) throws {
        let domain = try TestDomain(configuration(bits: bits))
        let first: UInt64 = 0x3_fe40_0000
        try domain.map(first, first, 0x4_c060_0000 - first)
        let sizes = domain.leaves().map(\.log2)
        #expect(sizes == [Int](repeating: 21, count: 14) + [30, 30, 30] + [21, 21, 21])
        #expect(domain.scan().runs().count == 1)
    }

    @Test func `Snoop is written where asked and refused where it is reserved`() throws {
        let domain = try TestDomain(configuration(bits: 48))
        try domain.map(0, 0, 0x20_1000, .read, options: .snoop)
        var words: [UInt64] = []
        for iova in [0, 0x20_0000] as [UInt64] {
            let trace = Walker.trace(
                domain.configuration, root: domain.table.root, memory: domain.view, iova: IOVA(iova), access: .read)
            words.append(trace.steps.last!.word)
            #expect(trace.steps.last!.entry.snoop)
        }
        #expect(words == [0x881, 0x20_0801])
        let without = try TestDomain(configuration(bits: 48, snoopControl: false))
        let failure = without.failure { () throws(MapError) in try without.map(0, 0, 4096, options: .snoop) }
        #expect(failure?.errno == .EOPNOTSUPP)
    }

    @Test func `Exactly the tables that a map or unmap wrote are dirty`() throws {
        let domain = try TestDomain(configuration(bits: 48))
        try domain.map(0, 0, 4096)
        func pages(_ iova: UInt64) -> [PhysicalAddress] {
            Walker.trace(
                domain.configuration, root: domain.table.root, memory: domain.view, iova: IOVA(iova), access: .read
            ).steps.map(\.entryAddress.pageBase)
        }
        #expect(domain.arena.dirtyFrames == pages(0).sorted())
        domain.arena.clearDirty()
        try domain.map(0x1000, 0x1000, 4096)
        #expect(domain.arena.dirtyFrames == [pages(0)[3]])
        domain.arena.clearDirty()
        try domain.map(0x20_0000, 0, 4096)
        #expect(domain.arena.dirtyFrames == [pages(0)[2], pages(0x20_0000)[3]].sorted())
        domain.arena.clearDirty()
        #expect(domain.unmap(0x1000, 4096) == 4096)
        #expect(domain.arena.dirtyFrames == [pages(0)[3]])
        domain.arena.clearDirty()
        #expect(domain.unmap(0x20_0000, 0x20_0000) == 4096)
        #expect(domain.arena.dirtyFrames == [pages(0)[2]])
        domain.arena.clearDirty()
        _ = domain.failure { () throws(MapError) in try domain.map(0, 0, 4096) }
        #expect(domain.unmap(0x20_0000, 0x20_0000) == 0)
        #expect(domain.arena.dirtyFrames == [])
    }

    @Test func `A damaged table is refused, not followed`() throws {
        let domain = try TestDomain(configuration(bits: 48))
        let root = domain.table.root
        domain.machine.set(root, 1, 0x7_7000_0003)
        domain.machine.set(root, 2, root.rawValue | 0x83)
        func failure(_ iova: UInt64, _ bytes: UInt64) -> MapError? {
            domain.failure { () throws(MapError) in try domain.map(iova, 0, bytes) }
        }
        let frames = domain.arena.allocatedCount
        for bytes in [4096, 0x3000, 1 << 30] as [UInt64] {
            #expect(failure(1 << 39, bytes) == .damaged(entryAddress: root.offset(by: 8)!))
            #expect(failure(2 << 39, bytes) == .damaged(entryAddress: root.offset(by: 16)!))
        }
        #expect(failure(1 << 39, 4096)?.errno == .EIO)
        #expect(domain.arena.allocatedCount == frames)
        var lost = PageTable(configuration: configuration(bits: 48), root: PhysicalAddress(0x7000))
        let absent = domain.failure { () throws(MapError) in
            try lost.map(
                iova: IOVA(0), pa: PhysicalAddress(0), byteCount: 4096, protection: .read, memory: domain.view,
                arena: &domain.arena)
        }
        #expect(absent == .damaged(entryAddress: PhysicalAddress(0x7000)))
        #expect(lost.unmap(iova: IOVA(0), byteCount: 4096, memory: domain.view, arena: &domain.arena) == 0)
        #expect(lost.destroy(memory: domain.view, arena: &domain.arena) == 0)
    }

    @Test(.timeLimit(.minutes(15)), arguments: widths)
    func `Tables that point to themselves do not hold map, unmap and destroy up`(bits: Int) throws {
        for operation in 0..<4 {
            let domain = try TestDomain(configuration(bits: bits))
            let root = domain.table.root
            for index in 0..<512 { domain.machine.set(root, index, root.rawValue | 3) }
            switch operation {
            case 0: _ = domain.unmap(0, 1 << UInt64(bits))
            case 1:
                #expect(domain.failure { () throws(MapError) in try domain.map(0, 0, 1 << 30) } != nil)
            case 2:
                #expect(domain.failure { () throws(MapError) in try domain.map(0x1000, 0, 3 << 30) } != nil)
            default: break
            }
            domain.table.destroy(memory: domain.view, arena: &domain.arena)
            #expect(domain.arena.allocatedCount <= 1)
        }
    }
}
