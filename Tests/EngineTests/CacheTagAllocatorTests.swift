import IOMMUModel
import Testing

@testable import Engine

@Suite struct CacheTagAllocatorTests {
    @Test func `tags come lowest first, never 0, and a reserved one is never handed out`() throws {
        var tags = CacheTagAllocator(capacity: 256)
        try tags.reserve(2)
        try tags.reserve(65)
        #expect(throws: Errno.EEXIST) { try tags.reserve(65) }
        #expect(throws: Errno.EINVAL) { try tags.reserve(256) }
        var given: [UInt32] = []
        while let tag = try? tags.allocate() { given.append(tag) }
        let all = [UInt32](1...255)
        #expect(given == all.filter { $0 != 2 && $0 != 65 })
        #expect(throws: Errno.ENOSPC) { try tags.allocate() }
        #expect(tags.inUse == all)
        tags.free(200)
        tags.free(65)
        #expect(try tags.allocate() == 65)
        #expect(try tags.allocate() == 200)
    }

    @Test func `a reservation after the first allocation comes too late`() throws {
        var tags = CacheTagAllocator(capacity: 256)
        _ = try tags.allocate()
        #expect(throws: Errno.EBUSY) { try tags.reserve(9) }
    }
}
