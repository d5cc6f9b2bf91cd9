import IOMMUModel
import Testing

@testable import Engine

/// What an engine that forgets an invalidation is served, and that it is noticed.
@Suite struct StaleTests {
    private let one = TestMachine.rid("00:03.0")

    private struct Running: ~Copyable {
        var engine: LiveEngine
        let ioas: IOASID
        let backing: BackingID
    }

    /// 0x1000 of 00:03.0 is mapped and cached.
    private func start() throws -> Running {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        let (ioas, hwpt) = try engine.space()
        try engine.own(one, on: hwpt)
        let backing = try engine.addBacking(.physical)
        try engine.map(
            ioas: ioas, iova: IOVA(0x1000), byteCount: 0x1000, backing: backing, offset: 0x9000, protection: .read)
        #expect(engine.machine.dma(one, iova: IOVA(0x1000), access: .read) == .address(PhysicalAddress(0x9000)))
        #expect(engine.machine.findStaleEntries().isEmpty)
        return Running(engine: engine, ioas: ioas, backing: backing)
    }

    @Test func `an unmap without its invalidation is served from the IOTLB and named as stale`() throws {
        let running = try start()
        var engine = running.engine
        let domain = try unwrapped(engine.attachment(one)?.domain)
        let view = engine.machine.memory.view
        _ = engine.domainTable[domain]!.table!.unmap(
            iova: IOVA(0x1000), byteCount: 0x1000, memory: view, arena: &engine.arena)
        #expect(engine.machine.dma(one, iova: IOVA(0x1000), access: .read) == .address(PhysicalAddress(0x9000)))
        let stale = engine.machine.findStaleEntries()
        #expect(stale.map(\.cache) == [.iotlb])
        #expect(stale.first?.iova == IOVA(0x1000))
        #expect(stale.first?.key == AttachmentKey(one))
        #expect(engine.checkInvariants().contains { $0.contains("stale iotlb") })
        engine.machine.units[0].invalidate(
            CacheSpace(tag: 1, pasid: nil), range: IOVARange(first: IOVA(0x1000), bytes: 0x1000))
        #expect(engine.machine.findStaleEntries().isEmpty)
        #expect(engine.machine.dma(one, iova: IOVA(0x1000), access: .read) == .fault(.vtd(.readPermission)))
    }

    @Test(arguments: [0x1000, 1 << 30] as [UInt64])
    func `an invalidation forgets a page that its range only touches, however wide it is`(bytes: UInt64) throws {
        let running = try start()
        let unit = running.engine.machine.units[0]
        #expect(unit.iotlb.lookup(CacheSpace(tag: 1, pasid: nil), iova: IOVA(0x1000)) != nil)
        unit.invalidate(CacheSpace(tag: 1, pasid: nil), range: IOVARange(first: IOVA(0x1800), bytes: bytes))
        #expect(unit.iotlb.lookup(CacheSpace(tag: 1, pasid: nil), iova: IOVA(0x1000)) == nil)
    }

    @Test func `a context entry changed without its invalidation is served from the context cache and named`() throws {
        let running = try start()
        let engine = running.engine
        let entry = try unwrapped(engine.attachment(one)?.entryAddress)
        LookupMemory(engine.machine.units[0], memory: engine.machine.memory.view).withdraw(2, at: entry)
        #expect(engine.machine.dma(one, iova: IOVA(0x1000), access: .read) == .address(PhysicalAddress(0x9000)))
        let stale = engine.machine.findStaleEntries()
        #expect(stale.map(\.cache) == [.context, .iotlb])
        engine.machine.units[0].invalidateContexts(of: one)
        #expect(engine.machine.dma(one, iova: IOVA(0x1000), access: .read) == .fault(.vtd(.contextNotPresent)))
    }

    @Test func `nothing is cached under the tag of a domain that is destroyed`() throws {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        let (_, hwpt) = try engine.space()
        let unit = engine.machine.units[0]
        let tag = try unwrapped(engine.domain(engine.hwpt(hwpt)!.domain)?.cacheTags.first?.cacheTag)
        // As a walk in flight at the detach could leave it.
        unit.iotlb.fill(
            CacheSpace(tag: tag, pasid: nil), iova: IOVA(0x1000), pa: PhysicalAddress(0x9000), rights: 1,
            source: RequestKey(AttachmentKey(one)))
        #expect(unit.iotlb.entries.count == 1)
        try engine.destroyHWPT(hwpt)
        #expect(unit.iotlb.entries.isEmpty)
    }

    @Test func `a tampered leaf, tag or area is a violation`() throws {
        let running = try start()
        var engine = running.engine
        #expect(engine.checkInvariants() == [])
        let entry = try unwrapped(engine.attachment(one)?.entryAddress)
        let low = try unwrapped(engine.machine.memory.word(at: entry))
        #expect(engine.machine.memory.setWord(low ^ 0x1000, at: entry))
        #expect(engine.checkInvariants().contains { $0.contains("is not domain") })
        #expect(engine.machine.memory.setWord(low, at: entry))
        engine.ioasTable[running.ioas]!.areas[0] = IOPTArea(
            range: IOVARange(first: IOVA(0x1000), bytes: 0x1000)!, backing: running.backing, offset: 0xa000,
            protection: .read)
        #expect(engine.checkInvariants().contains { $0.contains("the tables differ") })
        engine.ioasTable[running.ioas]!.areas = []
        #expect(engine.checkInvariants().contains { $0.contains("translates 4096 bytes") })
        engine.unitTable[TestMachine.unit]!.tags.free(1)
        #expect(engine.checkInvariants().contains { $0.contains("is free on unit") })
    }
}
