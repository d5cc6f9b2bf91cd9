import IOMMUModel
import Testing

@testable import PageTables

/// Tables read with another number of levels than they were built with look wrong, sound ones do not, whatever they
/// map.
@Suite struct LevelEvidenceTests {
    /// Tables below 0x1_0000_0000, and data from there on that the tables map.
    private struct Machine {
        static let frames: UInt64 = 0x1000_0000
        static let data: UInt64 = 0x1_0000_0000
        static let dataPages = 256

        var memory = PhysicalMemory()
        var table: PageTable
        /// Entries of tables at level 1: what a walk that begins one level too low takes for leaves.
        var uppers = Set<UInt64>()

        init(_ configuration: PageTableConfiguration, seed: UInt64) throws {
            var random = SplitMix(seed: seed)
            try memory.add(
                at: PhysicalAddress(Self.frames), byteCount: 1024 * 4096,
                region: MappedRegion.anonymous(bytes: 1024 * 4096))
            try memory.add(
                at: PhysicalAddress(Self.data), byteCount: UInt64(Self.dataPages) * 4096,
                region: MappedRegion.anonymous(bytes: Self.dataPages * 4096))
            for page in 0..<Self.dataPages { Self.fill(memory.page(at: Self.page(page))!, &random) }
            let range = PhysicalRange(first: PhysicalAddress(Self.frames), bytes: 1024 * 4096)!
            var arena = try TableArena(ranges: [range], memory: memory.view)
            table = try PageTable.create(configuration, arena: &arena, memory: memory.view)
            for _ in 0..<(8 + random.next() % 200) {
                let block = random.next() % 128
                let isLarge = random.next() % 4 == 0
                let iova = block << 21 | (isLarge ? 0 : (random.next() % 512) << 12)
                let pa =
                    isLarge
                    ? 0x20_0000_0000 + block << 21 : Self.page(Int(random.next() % UInt64(Self.dataPages))).rawValue
                do throws(MapError) {
                    try table.map(
                        iova: IOVA(iova), pa: PhysicalAddress(pa), byteCount: isLarge ? 1 << 21 : 4096,
                        protection: .readWrite, memory: memory.view, arena: &arena)
                    uppers.insert(block)
                } catch {
                    // The place is taken.
                }
            }
        }

        static func page(_ number: Int) -> PhysicalAddress { PhysicalAddress(data + UInt64(number) << 12) }

        /// Nothing, random words, small numbers, text, or now and then a processor's page table.
        private static func fill(_ words: UnsafeMutablePointer<UInt64>, _ random: inout SplitMix) {
            let kind = random.next() % 8
            for index in 0..<512 {
                words[index] =
                    switch kind {
                    case 0, 1: 0
                    case 2, 3: random.next()
                    case 4, 5: random.next() % 4
                    case 6: 0x2020_6b6f_6f6c_2061
                    default: 1 << 63 | (random.next() & 0xf_ffff) << 12 | 0x67
                    }
            }
        }

        func evidence(_ configuration: PageTableConfiguration) -> LevelEvidence {
            withExtendedLifetime(memory) {
                LevelEvidence(
                    Walker.scan(configuration, root: table.root, memory: memory.view), memory: memory.view)
            }
        }
    }

    private static func configuration(_ format: PageTableFormatKind, _ topLevel: Int) -> PageTableConfiguration {
        PageTableConfiguration(format: format, topLevel: topLevel, hostAddressWidth: 46, supports1G: false)!
    }

    @Test(arguments: 0..<100)
    func `second-stage tables look right with their own width and wrong with one level less`(round: Int) throws {
        let seed = UInt64(round) &* 0x9e37_79b9
        let top = 3 + round % 2
        let machine = try Machine(Self.configuration(.vtdSecondStage, top), seed: seed)
        let sound = machine.evidence(Self.configuration(.vtdSecondStage, top))
        #expect(!sound.isConvincing && sound.leaves > 0, "\(sound), seed \(seed)")
        let wrong = machine.evidence(Self.configuration(.vtdSecondStage, top - 1))
        #expect(wrong.isConvincing, "\(wrong), seed \(seed)")
        #expect(wrong.leaves == min(machine.uppers.count, LevelEvidence.sampleSize))
        #expect(wrong.largeLeaves + wrong.tableLeaves == wrong.leaves)
        #expect(wrong.tables.allSatisfy { $0.rawValue < Machine.data } && wrong.tables == Set(wrong.tables).sorted())
    }

    @Test(arguments: 0..<50)
    func `first-stage tables of five levels read with four look wrong, their own do not`(round: Int) throws {
        let seed = UInt64(round) &* 0x85eb_ca6b
        let machine = try Machine(Self.configuration(.x86_64, 4), seed: seed)
        #expect(!machine.evidence(Self.configuration(.x86_64, 4)).isConvincing, "seed \(seed)")
        let wrong = machine.evidence(Self.configuration(.x86_64, 3))
        // A large leaf is no evidence here: at the lowest level its mark is an ordinary attribute.
        #expect(wrong.largeLeaves == 0)
        #expect(wrong.isConvincing == (wrong.tableLeaves * 4 >= wrong.leaves * 3), "\(wrong), seed \(seed)")
        #expect(wrong.tableLeaves > 0)
    }

    @Test(arguments: 2...5)
    func `AMD tables say themselves how many levels they have`(top: Int) throws {
        let machine = try Machine(Self.configuration(.amdV1, top), seed: 7)
        #expect(machine.evidence(Self.configuration(.amdV1, top)).statedTopLevel == nil)
        for wrong in 0...5 where wrong != top {
            #expect(machine.evidence(Self.configuration(.amdV1, wrong)).statedTopLevel == top)
        }
        #expect(!machine.evidence(Self.configuration(.amdV1, top)).isConvincing)
    }

    @Test func `a table that is led to twice, once as a lower one, is no evidence`() throws {
        let machine = try Machine(Self.configuration(.vtdSecondStage, 3), seed: 3)
        let root = machine.table.root
        // From the root down to the table of level 1, one entry of which then leads back to it.
        var table = root
        for _ in 0..<2 { table = PhysicalAddress(machine.memory.word(at: table)! & ~0xfff) }
        #expect(machine.memory.setWord(table.rawValue | 3, at: PhysicalAddress(table.rawValue + 8 * 511)))
        #expect(!machine.evidence(Self.configuration(.vtdSecondStage, 3)).isConvincing)
    }
}
