import IOMMUModel
import PageTables
import Testing

/// The entry and page-size properties of the kernel's KUnit suites (reference/page-table-formats.md section 4), every one
/// for every format.
struct EntryPropertyTests {
    /// The largest size by trying them all.
    static func bruteForce(_ sizes: [Int], _ iova: UInt64, _ lastIOVA: UInt64, _ pa: UInt64) -> Int? {
        sizes.last { log2 in
            let low: UInt64 = (1 << UInt64(log2)) - 1
            return iova & low == 0 && pa & low == 0 && low <= lastIOVA - iova
        }
    }

    /// KUnit `test_init` and `test_best_pgsize`: random prefixes, all suffixes, every set of sizes.
    @Test(arguments: Shape.all, [(true, true), (true, false), (false, true), (false, false)])
    func `A mapping begins with the largest page that trying all of them finds`(
        shape: Shape, supported: (Bool, Bool)
    ) throws {
        guard !shape.isAMD || supported == (true, true) else { return }
        let shape = shape.with(supports2M: supported.0, supports1G: supported.1)
        let sizes = shape.sizes
        #expect(sizes.first == 12)
        let domain = try TestDomain(shape.configuration)
        var random = SplitMix(seed: 11)
        let top = UInt64(shape.bits) - (shape.configuration.signExtended ? 1 : 0)
        let addresses: UInt64 = .max >> (64 - top)
        for prefix in [random.next(), random.next(), 0, .max] {
            for suffix in 12..<top - 1 {
                let iova = prefix & addresses & (~0 << suffix)
                for length in [4096, (1 << 21) - 4096, 1 << 21, 3 << 20, 1 << 30] as [UInt64]
                where addresses - iova >= length {
                    if length > 1 << 21, !supported.0 { continue }
                    for pa in [iova, 0, iova &+ 0x20_0000] {
                        let pa = pa & 0xf_ffff_ffff_f000
                        guard pa + length <= shape.addresses else { continue }
                        try domain.map(iova, pa, length)
                        let found = Walker.translate(
                            domain.configuration, root: domain.table.root, memory: domain.view, iova: IOVA(iova),
                            access: .read)
                        let best = Self.bruteForce(sizes, iova, iova + length - 1, pa)
                        #expect(found.translation?.pageSizeLog2 == best)
                        #expect(domain.unmap(iova, length) == length)
                    }
                }
            }
        }
    }

    /// KUnit `test_entry_possible_sizes`.
    @Test(arguments: Shape.all)
    func `Each level has leaves from its item size up, or none`(shape: Shape) {
        for level in 0...shape.configuration.maximumTopLevel {
            let sizes = (0..<64).filter { log2 in
                (try? PageTableEntry.encodeLeaf(
                    PhysicalAddress(0), pageSizeLog2: log2, level: level, protection: .read,
                    configuration: shape.configuration)) != nil
            }
            let wanted: [Int] =
                if shape.isAMD {
                    level > 4 ? [] : (12 + 9 * level..<min(21 + 9 * level, 52)).filter { $0 != 39 }
                } else {
                    level <= 2 ? [12 + 9 * level] : []
                }
            // Armv8 has entries of contiguous leaves that no mapping makes.
            #expect(sizes == (shape.isArm ? wanted + wanted.map { $0 + 4 } : wanted))
            #expect(shape.sizes.filter { Shape.level(ofSize: $0) == level } == wanted)
        }
    }

    /// KUnit `test_entry_oa` and `test_attr_from_entry`.
    @Test(arguments: Shape.all, [36, 46, 52])
    func `An entry gives back the address and the attributes it was made of`(shape: Shape, haw: Int) throws {
        for encryptionBit in shape.hasEncryption ? [nil, 47] : [nil] {
            let shape = shape.with(haw: haw, encryptionBit: encryptionBit)
            for log2 in shape.sizes where 1 << UInt64(log2) <= shape.addresses {
                let last = shape.addresses & (~0 << UInt64(log2))
                for address in [shape.dense(log2), 0, last] {
                    for protection in [Protection.read, .write, .readWrite] {
                        for options in [[], .snoop, .mmio] as [MapOptions] {
                            try expectRoundTrip(shape, address, log2, protection, options)
                        }
                    }
                }
            }
            for level in 1...shape.configuration.maximumTopLevel {
                let word = shape.table(PhysicalAddress(shape.dense(12)), level: level)
                let entry = PageTableEntry.decode(word, level: level, configuration: shape.configuration)
                #expect(entry.kind == .table(PhysicalAddress(shape.dense(12)), nextLevel: level - 1))
                #expect(entry.protection == .readWrite && entry.isUser && entry.isExecutable)
                #expect(entry.isEncrypted == (encryptionBit != nil) && entry.lints.isEmpty)
            }
        }
    }

    private func expectRoundTrip(
        _ shape: Shape, _ address: UInt64, _ log2: Int, _ protection: Protection, _ options: MapOptions
    ) throws {
        let format = shape.configuration.format
        if options == .snoop, format == .x86_64 { return }
        let level = Shape.level(ofSize: log2)
        func encode(_ address: PhysicalAddress, _ protection: Protection, _ options: MapOptions) throws -> UInt64 {
            try PageTableEntry.encodeLeaf(
                address, pageSizeLog2: log2, level: level, protection: protection, options: options,
                configuration: shape.configuration)
        }
        let word = try encode(PhysicalAddress(address), protection, options)
        let entry = PageTableEntry.decode(word, level: level, configuration: shape.configuration)
        #expect(entry.kind == .leaf(PhysicalAddress(address), pageSizeLog2: log2))
        #expect(entry.protection == shape.effective(protection) && entry.isUser && entry.isExecutable)
        #expect(entry.snoop == (options == .snoop))
        #expect(entry.isEncrypted == (shape.configuration.encryptionBit != nil && options != .mmio))
        // The drivers of x86-64 and Armv8 set them from the start.
        #expect(entry.accessed == (format == .x86_64 || shape.isArm))
        #expect(entry.dirty == (format == .x86_64 && protection.contains(.write)))
        #expect(entry.ignoredBits == 0 && entry.lints.isEmpty && !entry.pat)
        let again = try encode(
            PhysicalAddress(address), entry.protection, entry.snoop ? .snoop : entry.isEncrypted ? [] : options)
        #expect(again == word, "what was read makes the identical word")
    }

    /// KUnit `test_table_ptr`: a table is installed, found, not installed twice, and its entry cleared with it.
    @Test(arguments: Shape.all)
    func `A table pointer is installed once, read back and cleared`(shape: Shape) throws {
        let domain = try TestDomain(shape.configuration)
        for level in 1...shape.configuration.topLevel {
            let span: UInt64 = 1 << UInt64(12 + 9 * level)
            // Index 1 of the table at `level`, index 0 of all below.
            try domain.map(span, 0x1000, 4096)
            func step() -> WalkTrace.Step? { domain.trace(span).steps.first { $0.level == level } }
            let first = try #require(step())
            guard case .table(let page, let nextLevel) = first.entry.kind else {
                Issue.record("no table at level \(level)")
                continue
            }
            #expect(nextLevel == level - 1)
            #expect(first.word == shape.table(page, level: level), "no bit besides those of a driver")
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

    /// KUnit `test_sw_bit_leaf`, `test_sw_bit_table` and, for one slot, `test_dirty`.
    @Test(arguments: Shape.all)
    func `Software, accessed and dirty bits change nothing else`(shape: Shape) {
        let configuration = shape.with(accessedDirty: true).configuration
        let clean = ~configuration.hardwareUpdatedMask
        var words = shape.sizes.map { (Shape.level(ofSize: $0), shape.leaf(shape.dense($0), $0) & clean) }
        for level in 1...configuration.topLevel {
            words.append((level, shape.table(PhysicalAddress(0x5000), level: level) & clean))
        }
        for (level, word) in words {
            let first = PageTableEntry.decode(word, level: level, configuration: configuration)
            for bit in shape.softwareBits {
                let marked = PageTableEntry.decode(word | 1 << UInt64(bit), level: level, configuration: configuration)
                #expect(marked.ignoredBits == 1 << UInt64(bit))
                #expect(marked.kind == first.kind && marked.protection == first.protection)
                #expect(!marked.accessed && !marked.dirty && !marked.snoop)
            }
            let used = PageTableEntry.decode(
                word | configuration.hardwareUpdatedMask, level: level, configuration: configuration)
            #expect(used.kind == first.kind && used.protection == first.protection && used.ignoredBits == 0)
            // Armv8 marks leaves only; its dirty state is another bit's beside DBM.
            let isLeaf = if case .leaf = used.kind { true } else { false }
            #expect(used.accessed == (isLeaf || !shape.isArm))
            #expect(used.dirty == (isLeaf && !shape.isArm))
            let cleaned = PageTableEntry.decode(used.word & clean, level: level, configuration: configuration)
            #expect(cleaned == first)
        }
    }
}
