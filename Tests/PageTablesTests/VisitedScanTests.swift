import IOMMUModel
import Testing

@testable import PageTables

/// A scan that shows its tables while it reads them.
struct VisitedScanTests {
    /// What a visit is told of one table.
    private struct Visit {
        let node: TableTree.Node
        let words: [UInt64]
        let ends: [Int]

        init(_ table: ScannedTable) {
            node = .init(page: table.page, level: table.level)
            words = Array(UnsafeBufferPointer(start: table.words, count: 512))
            ends = table.ends.map { Int($0) }
        }

        /// Where runs end, one word after the other.
        var naive: [Int] {
            (1...512).filter { index in
                index == 512
                    || (words[index - 1] == 0 ? words[index] != 0 : words[index] != words[index - 1] &+ 4096)
            }
        }
    }

    private static func visits(_ stage: TranslationStage, _ memory: MemoryView) -> (TableTree, [Visit]) {
        var visits: [Visit] = []
        let tree = Walker.scan(stage, memory: memory) { visits.append(Visit($0)) }
        return (tree, visits)
    }

    @Test(arguments: Shape.all(haw: 40), 1...8 as ClosedRange<UInt64>)
    func `damaged tables are told as by any scan`(shape: Shape, seed: UInt64) throws {
        let tables = try RandomTables(shape, seed: seed, pages: 24)
        let (tree, visits) = Self.visits(tables.stage, tables.machine.view)
        let plain = Walker.scan(tables.stage, memory: tables.machine.view)
        #expect(tree.runs() == plain.runs())
        #expect(tree.defects == plain.defects)
        #expect(visits.map(\.node) == plain.nodes)
        for visit in visits where !visit.ends.isEmpty { #expect(visit.ends == visit.naive) }
    }

    /// Level 0 through a chain of tables: where it is, and the stage.
    private static func lowest(_ shape: Shape, _ machine: TestMemory) -> (
        page: PhysicalAddress, stage: TranslationStage
    ) {
        let top = shape.configuration.topLevel
        for level in (1...top).reversed() {
            machine.set(machine.page(top - level), 0, shape.table(machine.page(top - level + 1), level: level))
        }
        return (machine.page(top), TranslationStage(configuration: shape.configuration, root: machine.base))
    }

    @Test(arguments: [32, 39, 46, 47, 48, 52], 1...6 as ClosedRange<UInt64>)
    func `addresses around the C-bit and the last one are told as the hardware takes them`(
        width: Int, seed: UInt64
    ) throws {
        var random = SplitMix(seed: seed &* 131 &+ UInt64(width))
        for encryptionBit in [nil, 32, 40, 47] {
            for shape in Shape.all(haw: width, encryptionBit: encryptionBit) {
                let machine = try TestMemory(pages: 8)
                let (page, stage) = Self.lowest(shape, machine)
                let leaf = shape.leaf(0, 12) & ~(1 << UInt64(encryptionBit ?? 0) & 0xf_ffff_ffff_f000)
                // Runs that come to a bit, and pass it.
                let borders = [UInt64(width), UInt64(encryptionBit ?? 30), 52, 33].map { UInt64(1) << $0 }
                var index = 0
                while index < 512 {
                    let border = borders[Int(random.next() % 4)] &* (random.next() % 4)
                    var address = border &- random.next() % 12 << 12
                    for _ in 0...random.next() % 24 where index < 512 {
                        var word = leaf | address & 0xf_ffff_ffff_f000
                        // With and without the C-bit, used and not, something else now and then.
                        if let encryptionBit, random.next() % 2 == 0 { word ^= 1 << UInt64(encryptionBit) }
                        if random.next() % 40 == 0 { word = [0, .max, word ^ 1, 4][Int(random.next() % 4)] }
                        machine.set(page, index, word)
                        index += 1
                        address &+= random.next() % 30 == 0 ? 8192 : 4096
                    }
                }
                let naive = NaiveTree(shape.configuration, root: machine.base, memory: machine.memory)
                let (visited, visits) = Self.visits(stage, machine.view)
                let plain = Walker.scan(stage, memory: machine.view)
                #expect(plain.runs() == naive.runs, "\(shape.testDescription), C-bit \(encryptionBit ?? 0)")
                #expect(visited.runs() == naive.runs, "\(shape.testDescription), C-bit \(encryptionBit ?? 0)")
                #expect(visited.defects == plain.defects)
                for visit in visits where !visit.ends.isEmpty { #expect(visit.ends == visit.naive) }
            }
        }
    }

    @Test(arguments: [32, 39, 46, 48, 52])
    func `words of all ones are what they are at every level`(width: Int) throws {
        for shape in Shape.all(haw: width) + [Shape.wideAMD] {
            for level in 0...shape.configuration.topLevel {
                let machine = try TestMemory(pages: 8)
                _ = Self.lowest(shape, machine)
                machine.set(machine.page(shape.configuration.topLevel - level), 1, .max)
                let naive = NaiveTree(shape.configuration, root: machine.base, memory: machine.memory)
                let tree = Walker.scan(
                    .init(configuration: shape.configuration, root: machine.base), memory: machine.view)
                #expect(
                    tree.defects.count == naive.defects.count && tree.runs() == naive.runs,
                    "\(shape.testDescription), level \(level)")
            }
        }
    }

    @Test func `bits that the hardware ignores make no runs once progressions are given up`() throws {
        let shape = Shape("vtdss 39", .init(topLevel: 2))
        let machine = try TestMemory(pages: 8)
        let (page, stage) = Self.lowest(shape, machine)
        machine.set(page, 0, 0x10_0003)
        machine.set(page, 1, 0x20_0003)
        machine.set(page, 2, 4)
        for index in 3..<512 { machine.set(page, index, UInt64(index % 2) << 52 | UInt64(index) << 12 | 3) }
        var cursor = Self.visits(stage, machine.view).0.runCursor()
        var runs = 0
        while cursor.next() != nil { runs += 1 }
        // Two levels of tables, and the runs.
        #expect(runs == 3 && cursor.visited == 2 + 3)
    }

    @Test(arguments: Shape.all, 1...8 as ClosedRange<UInt64>)
    func `tables of single leaves are told with the ends of their progressions`(shape: Shape, seed: UInt64) throws {
        let shape = shape.with(haw: 40, accessedDirty: true)
        var random = SplitMix(seed: seed)
        let machine = try TestMemory(pages: 16)
        let top = machine.setUpperTables(shape, lowest: 11)
        for table in top..<top + 11 {
            var index = 0
            while index < 512 {
                let count = min(Int(random.next() % UInt64([1, 4, 64, 512][table % 4])) + 1, 512 - index)
                let isEmpty = random.next() % 5 == 0
                // Odd pages, so that no format has a larger leaf for them.
                let first = UInt64(random.next() % 0x400_0000) << 13 | ~UInt64(index) << 12 & 0x1000
                for offset in 0..<count where !isEmpty {
                    var word = shape.leaf(first + UInt64(offset) << 12, 12)
                    // Used by the hardware here and there.
                    if table % 3 == 0, random.next() % 8 == 0 { word |= shape.configuration.hardwareUpdatedMask }
                    machine.set(machine.page(table), index + offset, word)
                }
                index += count
            }
        }
        let stage = TranslationStage(configuration: shape.configuration, root: machine.base)
        let (tree, visits) = Self.visits(stage, machine.view)
        #expect(tree.runs() == Walker.scan(stage, memory: machine.view).runs())
        let lowest = visits.filter { $0.node.level == 0 }
        #expect(lowest.count == 11)
        for visit in lowest { #expect(visit.ends == visit.naive) }
    }
}
