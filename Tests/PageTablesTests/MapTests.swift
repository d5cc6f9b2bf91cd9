import IOMMUModel
import PageTables
import Testing

/// The map and unmap properties of the kernel's KUnit suites (reference/page-table-formats.md section 4), every one for
/// every format.
struct MapTests {
    /// A tree with one smallest page at the highest address, so that every level has a table.
    static func chained(_ shape: Shape) throws -> TestDomain {
        let domain = try TestDomain(shape.configuration)
        let top = shape.lastIOVA & ~0xfff
        try domain.map(top, shape.dense(12), 4096)
        let steps = domain.trace(top).steps
        #expect(domain.configuration.topLevel == shape.configuration.maximumTopLevel)
        #expect(steps.map(\.level) == (0...shape.configuration.maximumTopLevel).reversed())
        // The last slot that is reached at each level.
        let linear = UInt64.max >> UInt64(64 - shape.bits)
        for step in steps { #expect(step.entryAddress.pageOffset / 8 == linear >> UInt64(12 + 9 * step.level) & 511) }
        return domain
    }

    /// KUnit `test_map_simple`.
    @Test(arguments: Shape.all)
    func `One mapping of every size translates everywhere inside, is one leaf, and goes away`(shape: Shape) throws {
        let domain = try Self.chained(shape)
        for log2 in shape.sizes where 2 << UInt64(log2) < shape.lowEnd &- 1 {
            let size: UInt64 = 1 << UInt64(log2)
            for pa in Set([shape.dense(log2), 0, shape.addresses + 1 - size]) {
                let iova = size
                try domain.map(iova, pa, size)
                // Every page of the smaller ones; of the larger ones each slot, and all bits inside.
                let offsets =
                    log2 <= 21
                    ? Array(stride(from: 0, to: size, by: 4096)) : (12..<log2).map { size - 1 << UInt64($0) } + [0]
                let wrong = offsets.filter { domain.read(iova + $0 + 8) != pa + $0 + 8 }
                #expect(wrong.isEmpty, "2^\(log2)")
                #expect(domain.read(iova - 1) == nil)
                #expect(domain.read(iova + size) == nil)
                #expect(domain.leaves().map(\.log2) == [log2, 12])
                #expect(domain.unmap(iova, size) == size)
                #expect(domain.leaves().count == 1)
            }
        }
        domain.table.destroy(memory: domain.view, arena: &domain.arena)
        #expect(domain.arena.allocatedCount == 0)
    }

    /// KUnit `test_table_radix`.
    @Test(arguments: Shape.all)
    func `The index fields of the levels tile the address`(shape: Shape) throws {
        let domain = try TestDomain(shape.configuration)
        let top = shape.configuration.signExtended ? shape.bits - 1 : shape.bits
        let iovas: [UInt64] = [0] + (12..<top).map { 1 << UInt64($0) }
        for (number, iova) in iovas.enumerated() { try domain.map(iova, UInt64(number + 1) << 12, 4096) }
        for (number, iova) in iovas.enumerated() { #expect(domain.read(iova) == UInt64(number + 1) << 12) }
        for first in 12..<top {
            for second in 12..<first { #expect(domain.read(1 << UInt64(first) | 1 << UInt64(second)) == nil) }
        }
        if shape.configuration.signExtended {
            for bit in 12..<top { #expect(domain.read(~0 << UInt64(top) | 1 << UInt64(bit)) == nil) }
        }
    }

    /// KUnit `test_max_va`, and every refusal of a mapping.
    @Test(arguments: Shape.all(haw: 46))
    func `The last page of the input width can be mapped, one more cannot`(shape: Shape) throws {
        let domain = try Self.chained(shape)
        let last = shape.lastIOVA
        #expect(domain.configuration.lastIOVA == IOVA(last))
        #expect(domain.read(last) == shape.dense(12) + 0xfff)
        let contents = domain.contents()
        func failure(_ iova: UInt64, _ pa: UInt64, _ bytes: UInt64, _ protection: Protection = .read) -> MapError? {
            domain.failure { () throws(MapError) in try domain.map(iova, pa, bytes, protection) }
        }
        let end = shape.lowEnd
        if end != 0 { #expect(failure(end, 0, 4096) == .outOfRange(iova: IOVA(end), byteCount: 4096)) }
        #expect(failure(end &- 8192, 0, 12288)?.errno == .ERANGE)
        #expect(failure(.max & ~0xfff, 0, 8192)?.errno == .ERANGE)
        #expect(failure(4096, 0, .max & ~0xfff)?.errno == .ERANGE)
        #expect(failure(0, 1 << 46, 4096) == .addressTooWide(pa: PhysicalAddress(1 << 46), byteCount: 4096))
        #expect(failure(0, (1 << 46) - 4096, 8192)?.errno == .ERANGE)
        #expect(failure(0, .max & ~0xfff, 8192)?.errno == .ERANGE)
        #expect(failure(1, 0, 4096)?.errno == .EINVAL)
        #expect(failure(0, 8, 4096)?.errno == .EINVAL)
        #expect(failure(0, 0, 4097)?.errno == .EINVAL)
        #expect(failure(0, 0, 0)?.errno == .EINVAL)
        #expect(failure(0, 0, 4096, []) == .noAccess)
        #expect(domain.contents() == contents)
        if end != 0 { #expect(domain.unmap(end, 4096) == 0) }
        #expect(domain.unmap(0, 100) == 0)
        #expect(domain.unmap(8, 4096) == 0)
        #expect(domain.unmap(0, 0) == 0)
        #expect(domain.unmap(last & ~0xfff, .max & ~0xfff) == 4096)
    }

    @Test(arguments: [20, 21, 29, 30, 31])
    func `A leaf that reaches beyond a narrow input width is refused`(bits: Int) throws {
        for format in [PageTableFormatKind.vtdSecondStage, .amdV1] {
            let shape = try #require(PageTableConfiguration(format: format, topLevel: 2, addressBits: bits))
            let domain = try TestDomain(shape)
            for log2 in [21, 30] where log2 != bits {
                let size: UInt64 = 1 << UInt64(log2)
                let failure = domain.failure { () throws(MapError) in try domain.map(0, 0, size) }
                #expect(failure == (log2 > bits ? .outOfRange(iova: IOVA(0), byteCount: size) : nil), "2^\(log2)")
                #expect(domain.unmap(0, size) == (failure == nil ? size : 0))
            }
        }
    }

    /// KUnit `test_map_table_to_oa`.
    @Test(arguments: Shape.all, [20, 21, 30])
    func `Larger leaves replace the tables that small ones left, and free them`(shape: Shape, log2: Int) throws {
        guard shape.sizes.contains(log2) else { return }
        let domain = try Self.chained(shape)
        let frames = domain.arena.allocatedCount
        let size: UInt64 = 1 << UInt64(log2)
        let part = min(size / 2, 1 << 20)
        let iova = size
        // Not congruent, so all small pages.
        try domain.map(iova, size + 0x1000, size)
        let full = domain.arena.allocatedCount
        #expect(full > frames)
        // Never a whole table at a time, so that the tables stay.
        for offset in stride(from: 0, to: size, by: Int(part)) { #expect(domain.unmap(iova + offset, part) == part) }
        #expect(domain.arena.allocatedCount == full)
        #expect(domain.leaves().count == 1)
        try domain.map(iova, 5 * size, size)
        #expect(domain.read(iova + size - 1) == 6 * size - 1)
        #expect(domain.leaves().map(\.log2) == [log2, 12])
        #expect(domain.arena.allocatedCount == full - [20: 0, 21: 1, 30: 513][log2]!)
        #expect(domain.unmap(iova, size) == size)
        // The same in a range of several leaves.
        try domain.map(iova, size + 0x1000, 2 * size)
        for offset in stride(from: 0, to: 2 * size, by: Int(part)) { _ = domain.unmap(iova + offset, part) }
        var oracle = LeafOracle(shape)
        oracle.map(iova - 4096, 6 * size - 4096, 2 * size + 8192, .readWrite)
        try domain.map(iova - 4096, 6 * size - 4096, 2 * size + 8192)
        #expect(domain.leaves().dropLast() == oracle.leaves[...])
        #expect(Set(domain.scan().nodes.map(\.page)).count == domain.arena.allocatedCount)
        domain.table.destroy(memory: domain.view, arena: &domain.arena)
        #expect(domain.arena.allocatedCount == 0)
    }

    @Test(arguments: Shape.all)
    func `A left-over table that is not empty is not replaced`(shape: Shape) throws {
        let domain = try TestDomain(shape.configuration)
        try domain.map(0x20_0000 + 0x1f_f000, 0x1000, 4096)
        let contents = domain.contents()
        for (iova, size) in [(0x20_0000, 0x20_0000), (0, 0x60_0000), (0, 1 << 30)] as [(UInt64, UInt64)] {
            let failure = domain.failure { () throws(MapError) in try domain.map(iova, iova, size) }
            #expect(failure == .overlap(at: IOVA(0x3f_f000)))
        }
        #expect(domain.contents() == contents)
    }

    /// KUnit `test_unmap_split`.
    @Test(arguments: Shape.all)
    func `Unmapping a part of a large leaf removes it whole and not its neighbour`(shape: Shape) throws {
        let domain = try Self.chained(shape)
        for log2 in shape.sizes where log2 > 12 && 4 << UInt64(log2) <= shape.lowEnd &- 1 {
            let size: UInt64 = 1 << UInt64(log2)
            guard 4 * size <= shape.addresses + 1 else { continue }
            for part in [0, size - 4096, size / 2 & ~0xfff] {
                // Two leaves, not one of twice the size.
                try domain.map(size, 2 * size, size)
                try domain.map(2 * size, 3 * size, size)
                #expect(domain.leaves().map(\.log2) == [log2, log2, 12])
                #expect(domain.unmap(size + part, 4096) == size)
                #expect(domain.read(size) == nil)
                #expect(domain.read(2 * size) == 3 * size)
                #expect(domain.unmap(2 * size, size) == size)
            }
        }
    }

    /// KUnit `test_pgsize_boundary`.
    @Test(arguments: Shape.all)
    func `A range that ends on a page-size boundary maps`(shape: Shape) throws {
        let domain = try TestDomain(shape.configuration)
        try domain.map(0xfef8_0000, 0x20_8b95_d000, 0x2_0000)
        #expect(domain.read(0xfef9_ffff) == 0x20_8b97_cfff)
        #expect(domain.leaves().count == 32)
    }

    /// KUnit `test_mixed`.
    @Test(arguments: Shape.all)
    func `The mixed identity range is exactly 20 leaves, or as few as contiguous ones allow`(shape: Shape) throws {
        let domain = try TestDomain(shape.configuration)
        let first: UInt64 = 0x3_fe40_0000
        guard shape.bits > 32 else { return }
        try domain.map(first, first, 0x4_c060_0000 - first)
        let sizes = domain.leaves().map(\.log2)
        if shape.isAMD {
            #expect(sizes == [22, 23, 24, 31, 30, 22, 21])
        } else {
            #expect(sizes == [Int](repeating: 21, count: 14) + [30, 30, 30] + [21, 21, 21])
        }
        #expect(domain.scan().runs().count == 1)
    }

    @Test func `Snoop is written where asked and refused where no entry can ask for it`() throws {
        let wanted: [PageTableFormatKind: [UInt64]] = [
            .vtdSecondStage: [0x881, 0x20_0801], .amdV1: [0x3000_0000_0000_0001, 0x3000_0000_0020_0001],
            .armv8Stage2: [0x77d, 0x20_077f],
        ]
        for shape in Shape.all {
            let domain = try TestDomain(shape.configuration)
            let failure = domain.failure { () throws(MapError) in
                try domain.map(0, 0, 0x20_1000, .read, options: .snoop)
            }
            guard let words = wanted[shape.configuration.format] else {
                #expect(failure == .snoopUnsupported && failure?.errno == .EOPNOTSUPP)
                continue
            }
            #expect(failure == nil)
            #expect([0, 0x20_0000].map { domain.trace($0).steps.last?.word } == words)
            #expect([0, 0x20_0000].allSatisfy { domain.trace($0).steps.last?.entry.snoop == true })
        }
        let without = try TestDomain(configuration(bits: 48, snoopControl: false))
        let failure = without.failure { () throws(MapError) in try without.map(0, 0, 4096, options: .snoop) }
        #expect(failure == .snoopUnsupported)
    }

    @Test(arguments: Shape.all(haw: 52, encryptionBit: 47))
    func `The C-bit is in tables and leaves, not in device memory, and never in an address`(shape: Shape) throws {
        guard shape.hasEncryption else { return }
        let domain = try TestDomain(shape.configuration)
        try domain.map(0, 0x1234_5000, 4096)
        try domain.map(0x1000, 0x8_0000_0000, 4096, options: .mmio)
        try domain.map(0x20_0000, 0, 0x20_0000)
        for iova in [0, 0x1000, 0x20_0000] as [UInt64] {
            let steps = domain.trace(iova).steps
            #expect(steps.dropLast().allSatisfy { $0.word >> 47 & 1 == 1 && $0.entry.isEncrypted })
            #expect(steps.last?.entry.isEncrypted == (iova != 0x1000))
        }
        #expect(domain.read(0x1fff) == 0x8_0000_0fff)
        #expect(domain.scan().runs().map(\.pa) == [0x1234_5000, 0x8_0000_0000, 0].map { PhysicalAddress($0) })
        let failure = domain.failure { () throws(MapError) in try domain.map(0x5000, 1 << 47, 4096) }
        #expect(failure?.errno == .ERANGE)
        #expect(domain.configuration.lastPhysicalAddress == PhysicalAddress(1 << 47 - 1))
    }

    @Test(arguments: Shape.all)
    func `Exactly the tables that a map or unmap wrote are dirty`(shape: Shape) throws {
        let domain = try TestDomain(shape.configuration)
        try domain.map(0, 0, 4096)
        func pages(_ iova: UInt64) -> [PhysicalAddress] { domain.trace(iova).steps.map(\.entryAddress.pageBase) }
        let top = shape.configuration.topLevel
        #expect(domain.arena.dirtyFrames == pages(0).sorted())
        domain.arena.clearDirty()
        try domain.map(0x1000, 0x1000, 4096)
        #expect(domain.arena.dirtyFrames == [pages(0)[top]])
        domain.arena.clearDirty()
        try domain.map(0x20_0000, 0, 4096)
        #expect(domain.arena.dirtyFrames == [pages(0)[top - 1], pages(0x20_0000)[top]].sorted())
        domain.arena.clearDirty()
        #expect(domain.unmap(0x1000, 4096) == 4096)
        #expect(domain.arena.dirtyFrames == [pages(0)[top]])
        domain.arena.clearDirty()
        #expect(domain.unmap(0x20_0000, 0x20_0000) == 4096)
        #expect(domain.arena.dirtyFrames == [pages(0)[top - 1]])
        domain.arena.clearDirty()
        _ = domain.failure { () throws(MapError) in try domain.map(0, 0, 4096) }
        #expect(domain.unmap(0x20_0000, 0x20_0000) == 0)
        #expect(domain.arena.dirtyFrames == [])
    }
}
