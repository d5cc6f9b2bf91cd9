import IOMMUModel
import PageTables
import Testing

/// The entry and page-size properties of the kernel's KUnit suites (reference/page-table-formats.md section 4).
struct EntryPropertyTests {
    static let widths = [39, 48, 57]

    /// The largest size by trying them all.
    static func bruteForce(_ sizes: UInt64, _ iova: UInt64, _ lastIOVA: UInt64, _ pa: UInt64) -> Int? {
        (0..<64).last { log2 in
            let low: UInt64 = (1 << UInt64(log2)) - 1
            return sizes >> UInt64(log2) & 1 == 1 && iova & low == 0 && pa & low == 0 && low <= lastIOVA - iova
        }
    }

    /// KUnit `test_best_pgsize`: random prefixes, all suffixes, every set of sizes.
    @Test(arguments: widths, [(true, true), (true, false), (false, true), (false, false)])
    func `A mapping begins with the largest page that trying all of them finds`(bits: Int, sizes: (Bool, Bool)) throws {
        let shape = configuration(bits: bits, supports2M: sizes.0, supports1G: sizes.1)
        let domain = try TestDomain(shape)
        var random = SplitMix(seed: 11)
        let addresses: UInt64 = (1 << UInt64(bits)) - 1
        for prefix in [random.next(), random.next(), 0, .max] {
            for suffix in 12..<UInt64(bits - 1) {
                let iova = ((prefix & addresses) >> suffix) << suffix
                for length in [4096, (1 << 21) - 4096, 1 << 21, 3 << 20, 1 << 30] as [UInt64]
                where addresses - iova >= length {
                    if length > 1 << 21, !sizes.0 { continue }
                    for pa in [iova, 0, iova &+ 0x20_0000] {
                        let pa = pa & 0xf_ffff_ffff_f000
                        guard pa + length < 1 << 52 else { continue }
                        try domain.map(iova, pa, length)
                        let found = Walker.translate(
                            shape, root: domain.table.root, memory: domain.view, iova: IOVA(iova), access: .read)
                        let best = Self.bruteForce(shape.pageSizes, iova, iova + length - 1, pa)
                        #expect(found.translation?.pageSizeLog2 == best)
                        #expect(domain.unmap(iova, length) == length)
                    }
                }
            }
        }
    }

    /// KUnit `test_entry_possible_sizes`.
    @Test(arguments: widths)
    func `Each level has leaves of its item size or none`(bits: Int) {
        let shape = configuration(bits: bits)
        #expect(shape.pageSizes != 0)
        for level in 0...shape.topLevel {
            let sizes = (0..<64).filter { log2 in
                (try? PageTableEntry.encodeLeaf(
                    PhysicalAddress(0), pageSizeLog2: log2, level: level, protection: .read, configuration: shape))
                    != nil
            }
            #expect(sizes == (level <= 2 ? [12 + 9 * level] : []))
            #expect(sizes.allSatisfy { shape.pageSizes >> UInt64($0) & 1 == 1 })
        }
    }

    /// KUnit `test_entry_oa` and `test_attr_from_entry`.
    @Test(arguments: widths, [36, 46, 52])
    func `An entry gives back the address and the attributes it was made of`(bits: Int, haw: Int) throws {
        let shape = configuration(bits: bits, haw: haw)
        for level in 0...2 {
            let log2 = 12 + 9 * level
            let field: UInt64 = ((1 << UInt64(haw)) - 1) & ~((1 << UInt64(log2)) - 1)
            for address in [MapTests.dense & field, 0, field] {
                for protection in [Protection.read, .write, .readWrite] {
                    for snoop in [false, true] {
                        let word = try PageTableEntry.encodeLeaf(
                            PhysicalAddress(address), pageSizeLog2: log2, level: level, protection: protection,
                            snoop: snoop, configuration: shape)
                        let entry = PageTableEntry.decode(word, level: level, configuration: shape)
                        #expect(entry.kind == .leaf(PhysicalAddress(address), pageSizeLog2: log2))
                        #expect(entry.protection == protection && entry.snoop == snoop)
                        #expect(!entry.accessed && !entry.dirty && entry.ignoredBits == 0)
                        guard case .leaf(let read, let readLog2) = entry.kind else { continue }
                        let again = try PageTableEntry.encodeLeaf(
                            read, pageSizeLog2: readLog2, level: level, protection: entry.protection,
                            snoop: entry.snoop, configuration: shape)
                        #expect(again == word, "what was read makes the identical word")
                    }
                }
            }
        }
        for level in 1...shape.topLevel {
            let address = MapTests.dense & ((1 << UInt64(haw)) - 1) & ~0xfff
            let word = try PageTableEntry.encodeTable(PhysicalAddress(address), level: level, configuration: shape)
            let entry = PageTableEntry.decode(word, level: level, configuration: shape)
            #expect(entry.kind == .table(PhysicalAddress(address), nextLevel: level - 1))
            #expect(entry.protection == .readWrite)
        }
    }

    /// KUnit `test_table_ptr`: a table is installed, found, not installed twice, and its entry cleared with it.
    @Test(arguments: widths)
    func `A table pointer is installed once, read back and cleared`(bits: Int) throws {
        let domain = try TestDomain(configuration(bits: bits))
        for level in 1...domain.configuration.topLevel {
            let span: UInt64 = 1 << UInt64(12 + 9 * level)
            // Index 1 of the table at `level`, index 0 of all below.
            try domain.map(span, 0x1000, 4096)
            func step() -> WalkTrace.Step? {
                Walker.trace(
                    domain.configuration, root: domain.table.root, memory: domain.view, iova: IOVA(span), access: .read
                ).steps.first { $0.level == level }
            }
            let first = try #require(step())
            guard case .table(let page, let nextLevel) = first.entry.kind else {
                Issue.record("no table at level \(level)")
                continue
            }
            #expect(nextLevel == level - 1)
            #expect(first.word == page.rawValue | 3, "no bit besides the address and the rights")
            let frames = domain.arena.allocatedCount
            try domain.map(span + 4096, 0x5000, 4096)
            #expect(step()?.word == first.word)
            #expect(domain.arena.allocatedCount == frames)
            #expect(domain.unmap(span, span) == 8192)
            #expect(step()?.word == 0)
            let isHeld = domain.arena.isAllocated(page)
            #expect(!isHeld)
        }
        domain.table.destroy(memory: domain.view, arena: &domain.arena)
        #expect(domain.arena.allocatedCount == 0)
    }

    /// KUnit `test_bitops`: what our entry code has of such helpers, against the definition, bit by bit.
    @Test func `Alignment of addresses and ranges agrees with the definition at every bit`() {
        for value in [0, 1, 1 << 63, .max, 0x8000_0001_0000_1000, 0xffff_ffff_0000_0000] as [UInt64] {
            for log2 in 0..<64 {
                let low = (0..<log2).contains { value >> UInt64($0) & 1 == 1 }
                #expect(IOVA(value).isAligned(toLog2: log2) == !low, "\(hex(value)) 2^\(log2)")
                for last in [value, .max, value | 0xfff] where last >= value {
                    let range = IOVARange(first: IOVA(value), last: IOVA(last))!
                    let lastIsAligned = (0..<log2).allSatisfy { last >> UInt64($0) & 1 == 1 }
                    #expect(range.isAligned(toLog2: log2) == (!low && lastIsAligned))
                }
            }
        }
    }

    /// KUnit `test_sw_bit_leaf`, `test_sw_bit_table` and `test_dirty`.
    @Test(arguments: widths)
    func `Software, accessed and dirty bits change nothing else`(bits: Int) {
        var shape = configuration(bits: bits)
        shape.accessedDirty = true
        for (level, word) in [(0, 0x5003), (1, 0x20_0083), (2, 0x4000_0081), (1, 0x5003), (3, 0x5001)]
            as [(Int, UInt64)]
        {
            let clean = PageTableEntry.decode(word, level: level, configuration: shape)
            for bit in [10] + Array(52...61) + [63] {
                let marked = PageTableEntry.decode(word | 1 << UInt64(bit), level: level, configuration: shape)
                #expect(marked.ignoredBits == 1 << UInt64(bit))
                #expect(marked.kind == clean.kind && marked.protection == clean.protection)
                #expect(!marked.accessed && !marked.dirty && !marked.snoop)
            }
            let used = PageTableEntry.decode(word | 0x300, level: level, configuration: shape)
            #expect(used.kind == clean.kind && used.protection == clean.protection && used.ignoredBits == 0)
            #expect(used.accessed)
            if case .leaf = used.kind { #expect(used.dirty) } else { #expect(!used.dirty) }
            let cleaned = PageTableEntry.decode(
                used.word & ~shape.hardwareUpdatedMask, level: level, configuration: shape)
            #expect(cleaned == clean)
        }
    }
}
