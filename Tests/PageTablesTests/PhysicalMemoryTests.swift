import IOMMUModel
import PageTables
import Testing

struct PhysicalMemoryTests {
    @Test func `A word outside every segment is unknown, not zero`() throws {
        var memory = PhysicalMemory()
        #expect(memory.word(at: PhysicalAddress(0)) == nil)
        #expect(memory.page(at: PhysicalAddress(0x1000)) == nil)
        let region = try MappedRegion.anonymous(bytes: 0x5000)
        try memory.add(at: PhysicalAddress(0x3000), byteCount: 0x1000, region: region, regionOffset: 0)
        try memory.add(at: PhysicalAddress(0x1000), byteCount: 0x1000, region: region, regionOffset: 0x1000)
        try memory.add(at: PhysicalAddress(0x8000), byteCount: 0x2000, region: region, regionOffset: 0x2000)
        #expect(memory.word(at: PhysicalAddress(0xff8)) == nil)
        #expect(memory.word(at: PhysicalAddress(0x1000)) == 0)
        #expect(memory.word(at: PhysicalAddress(0x1ff8)) == 0)
        #expect(memory.word(at: PhysicalAddress(0x2000)) == nil)
        #expect(memory.word(at: PhysicalAddress(0x1001)) == nil)
        #expect(memory.word(at: PhysicalAddress(0x9ff8)) == 0)
        #expect(memory.word(at: PhysicalAddress(0xa000)) == nil)
        #expect(memory.word(at: PhysicalAddress(.max - 7)) == nil)
        #expect(memory.setWord(7, at: PhysicalAddress(0x3008)))
        #expect(!memory.setWord(7, at: PhysicalAddress(0x4000)))
        #expect(!memory.setWord(7, at: PhysicalAddress(0x3001)))
        #expect(region.base.load(fromByteOffset: 8, as: UInt64.self) == 7)
        #expect(memory.segments.map(\.range.first.rawValue) == [0x1000, 0x3000, 0x8000])
        #expect(memory.page(at: PhysicalAddress(0x9abc)) == memory.page(at: PhysicalAddress(0x9000)))
    }

    @Test func `A page that is not wholly present is absent`() throws {
        var memory = PhysicalMemory()
        let region = try MappedRegion.anonymous(bytes: 0x3000)
        try memory.add(at: PhysicalAddress(0x1800), byteCount: 0x1400, region: region, regionOffset: 0x800)
        #expect(memory.page(at: PhysicalAddress(0x1800)) == nil)
        #expect(memory.page(at: PhysicalAddress(0x2000)) == nil)
        #expect(memory.word(at: PhysicalAddress(0x2bf8)) == 0)
        #expect(memory.word(at: PhysicalAddress(0x2c00)) == nil)
    }

    @Test func `Overlap, overflow, a bad offset and a bad alignment are refused`() throws {
        var memory = PhysicalMemory()
        let region = try MappedRegion.anonymous(bytes: 0x4000)
        try memory.add(at: PhysicalAddress(0x2000), byteCount: 0x2000, region: region)
        func failure(_ address: UInt64, _ bytes: UInt64, _ offset: Int = 0) -> MemoryError? {
            do throws(MemoryError) {
                try memory.add(at: PhysicalAddress(address), byteCount: bytes, region: region, regionOffset: offset)
                return nil
            } catch { return error }
        }
        let there = PhysicalRange(first: PhysicalAddress(0x2000), bytes: 0x2000)!
        func overlap(_ first: UInt64, _ bytes: UInt64) -> MemoryError {
            .overlap(PhysicalRange(first: PhysicalAddress(first), bytes: bytes)!, with: there)
        }
        #expect(failure(0x1000, 0x1001) == overlap(0x1000, 0x1001))
        #expect(failure(0x3ff8, 8) == overlap(0x3ff8, 8))
        #expect(failure(0x2000, 0x1000) == overlap(0x2000, 0x1000))
        #expect(failure(0x8000, 0) == .empty(at: PhysicalAddress(0x8000)))
        #expect(failure(.max, 2) == .passesEndOfSpace(at: PhysicalAddress(.max), byteCount: 2))
        #expect(failure(0x8000, 0x4001) == .outsideRegion(offset: 0, byteCount: 0x4001, regionBytes: 0x4000))
        #expect(failure(0x8000, 1, -1) == .outsideRegion(offset: -1, byteCount: 1, regionBytes: 0x4000))
        #expect(failure(0x8000, 8, 4) == .misaligned(at: PhysicalAddress(0x8000), regionOffset: 4))
        #expect(failure(0x4000, 0x4000) == nil)
    }

    @Test func `A copy keeps its own list of segments`() throws {
        var memory = PhysicalMemory()
        let region = try MappedRegion.anonymous(bytes: 0x4000)
        try memory.add(at: PhysicalAddress(0), byteCount: 0x1000, region: region)
        let copy = memory
        for page in 1..<4 {
            try memory.add(
                at: PhysicalAddress(UInt64(page) << 16), byteCount: 0x1000, region: region, regionOffset: page << 12)
        }
        #expect(copy.segments.count == 1)
        #expect(memory.segments.count == 4)
        #expect(memory.setWord(5, at: PhysicalAddress(0)))
        #expect(copy.word(at: PhysicalAddress(0)) == 5)
    }
}
