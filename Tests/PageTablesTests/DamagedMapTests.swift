import IOMMUModel
import PageTables
import Testing

/// Mapper and tables that are not what a driver writes.
struct DamagedMapTests {
    @Test(arguments: Shape.all)
    func `What is not whole pages is refused`(shape: Shape) throws {
        let domain = try TestDomain(shape.configuration)
        for (iova, pa, bytes) in [(0x1001, 0, 4096), (0x1000, 8, 4096), (0x1000, 0, 4095)] as [(UInt64, UInt64, UInt64)]
        {
            let failure = domain.failure { () throws(MapError) in try domain.map(iova, pa, bytes) }
            #expect(failure == .misaligned(iova: IOVA(iova), pa: PhysicalAddress(pa), byteCount: bytes))
        }
    }

    @Test(arguments: Shape.all)
    func `A damaged table is refused, not followed`(shape: Shape) throws {
        let domain = try TestDomain(shape.configuration)
        let root = domain.table.root
        let top = shape.configuration.topLevel
        let slot: UInt64 = 1 << UInt64(12 + 9 * top)
        // Out of memory, and reserved.
        domain.machine.set(root, 1, shape.table(PhysicalAddress(0x7_7000_0000), level: top))
        domain.machine.set(root, 2, shape.reservedWord)
        func failure(_ iova: UInt64, _ bytes: UInt64) -> MapError? {
            domain.failure { () throws(MapError) in try domain.map(iova, 0, bytes) }
        }
        let frames = domain.arena.allocatedCount
        for bytes in [4096, 0x3000, 1 << 29] as [UInt64] {
            #expect(failure(slot, bytes) == .damaged(entryAddress: root.offset(by: 8)!))
            #expect(failure(2 * slot, bytes) == .damaged(entryAddress: root.offset(by: 16)!))
        }
        #expect(failure(slot, 4096)?.errno == .EIO)
        #expect(domain.arena.allocatedCount == frames)
        var lost = PageTable(configuration: shape.configuration, root: PhysicalAddress(0x7000))
        let absent = domain.failure { () throws(MapError) in
            try lost.map(
                iova: IOVA(0), pa: PhysicalAddress(0), byteCount: 4096, protection: .read, memory: domain.view,
                arena: &domain.arena)
        }
        #expect(absent == .damaged(entryAddress: PhysicalAddress(0x7000)))
        #expect(lost.unmap(iova: IOVA(0), byteCount: 4096, memory: domain.view, arena: &domain.arena) == 0)
        #expect(lost.destroy(memory: domain.view, arena: &domain.arena) == 0)
    }

    @Test(.timeLimit(.minutes(15)), arguments: Shape.all)
    func `Tables that point to themselves do not hold map, unmap and destroy up`(shape: Shape) throws {
        for operation in 0..<4 {
            let domain = try TestDomain(shape.configuration)
            let root = domain.table.root
            // On AMD v1 a page that is a table of one level names the next one; at any other it skips or is invalid.
            let word = shape.table(root, level: shape.isAMD ? 1 : shape.configuration.topLevel)
            for index in 0..<512 { domain.machine.set(root, index, word) }
            switch operation {
            case 0: _ = domain.unmapAll()
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

    @Test func `A table further down than the next level is unmapped and freed, but not mapped through`() throws {
        let shape = Shape("amdv1", .init(format: .amdV1, topLevel: 2))
        let domain = try TestDomain(shape.configuration)
        try domain.map(1 << 30, 0x5000, 4096)
        let table = try #require(domain.trace(1 << 30).steps.last?.entryAddress.pageBase)
        // The root's second slot names the table of level 0 directly; the one between is lost.
        let middle = try #require(domain.trace(1 << 30).steps.dropLast().last?.entryAddress.pageBase)
        domain.machine.set(domain.table.root, 1, shape.table(table, level: 1))
        let freed = domain.arena.free(middle)
        #expect(freed)
        #expect(domain.read(1 << 30) == 0x5000)
        let failure = domain.failure { () throws(MapError) in try domain.map(1 << 30 + 0x1000, 0x6000, 4096) }
        #expect(failure == .damaged(entryAddress: domain.table.root.offset(by: 8)!))
        #expect(domain.failure { () throws(MapError) in try domain.map(1 << 30, 0, 1 << 30) } != nil)
        // Beyond what the table reaches nothing is mapped.
        #expect(domain.unmap(1 << 30 + 1 << 21, 1 << 29) == 0)
        #expect(domain.unmap(1 << 30, 4096) == 4096)
        #expect(domain.unmap(1 << 30, 1 << 30) == 0)
        #expect(domain.arena.allocatedCount == 1)
    }
}
