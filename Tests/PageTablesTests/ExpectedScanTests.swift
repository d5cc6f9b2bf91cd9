import IOMMUModel
import Testing

@testable import PageTables

/// A scan of tables of which it is known what they should be.
struct ExpectedScanTests {
    /// What a table's words are, in runs that end anywhere a run may end.
    private static func runs(_ words: [UInt64], _ random: inout SplitMix) -> [RecordedWords] {
        var runs: [RecordedWords] = []
        var index = 0
        while index < 512 {
            var run = RecordedWords(first: words[index], stride: 0, count: 1)
            if index < 511 {
                let stride = words[index + 1] &- words[index]
                let limit = random.next() % 8 == 0 ? index + 1 + Int(random.next() % 64) : 512
                var end = index + 1
                while end < min(limit, 512), words[end] == words[index] &+ UInt64(end - index) &* stride { end += 1 }
                if end - index > 1, run.first != 0 || stride == 0 {
                    run = .init(first: run.first, stride: stride, count: end - index)
                }
            }
            runs.append(run)
            index += run.count
        }
        return runs
    }

    private static func pieces(_ tree: TableTree) -> Int {
        var cursor = tree.runCursor()
        while cursor.next() != nil {}
        return cursor.visited
    }

    private static func words(_ machine: TestMemory, _ page: Int) -> [UInt64] {
        (0..<512).map { machine.get(machine.page(page), $0) }
    }

    /// Scans what `machine` holds now beside `expected`, and checks that it comes to what any scan does, and that the pages
    /// that are as expected are told; answers how many are.
    private static func check(
        _ stage: TranslationStage, _ machine: TestMemory, _ expected: [[UInt64]], unknown: Int?, mask: UInt64,
        _ random: inout SplitMix
    ) -> Int {
        var own = random
        var visited: [TableTree.Node] = []
        var count = 0
        let tree = Walker.scan(stage, memory: machine.view, ignoring: mask) { page, _, buffer in
            let number = Int(page.rawValue - machine.base.rawValue) >> 12
            if number == unknown { return 0 }
            let runs = runs(expected[number], &own)
            for (index, run) in runs.enumerated() { buffer[index] = run }
            return runs.count
        } visit: { table in
            visited.append(.init(page: table.page, level: table.level))
            let number = Int(table.page.rawValue - machine.base.rawValue) >> 12
            let isAlike = (0..<512).allSatisfy { (table.words[$0] ^ expected[number][$0]) & ~mask == 0 }
            #expect(table.isAsExpected == (isAlike && number != unknown))
            if table.isAsExpected { count += 1 }
        }
        random = own
        let plain = Walker.scan(stage, memory: machine.view)
        #expect(tree.runs() == plain.runs())
        // A budget for one is enough for the other.
        #expect(pieces(tree) <= pieces(plain))
        #expect(tree.defects == plain.defects)
        #expect(visited == plain.nodes)
        return count
    }

    @Test(arguments: Shape.all(haw: 40) + [Shape.wideAMD.with(haw: 40)], 1...3 as ClosedRange<UInt64>)
    func `damaged tables are told as by any scan, also where they are not as expected`(
        shape: Shape, seed: UInt64
    ) throws {
        var random = SplitMix(seed: seed)
        let tables = try RandomTables(shape, seed: seed, pages: 24)
        let machine = tables.machine
        let expected = (0..<24).map { Self.words(machine, $0) }
        let mask = shape.with(haw: 40, accessedDirty: true).configuration.hardwareUpdatedMask
        #expect(Self.check(tables.stage, machine, expected, unknown: nil, mask: mask, &random) > 0)
        // Of a word that is in use, what the hardware updates; then anything.
        for round in 0..<6 {
            for _ in 0..<8 {
                let (page, index) = (machine.page(Int(random.next() % 24)), Int(random.next() % 512))
                let word = machine.get(page, index)
                let bits = round < 3 ? mask & random.next() : 1 << (random.next() % 64)
                // One of the hardware's alone in a word would be a defect that nobody looks for.
                machine.set(page, index, word ^ (word == 0 ? bits & ~mask : bits))
            }
            _ = Self.check(tables.stage, machine, expected, unknown: round * 4, mask: mask, &random)
        }
    }

    @Test(arguments: Shape.all, 1...3 as ClosedRange<UInt64>)
    func `full tables are decoded from what is expected, and each changed bit is seen`(
        shape: Shape, seed: UInt64
    ) throws {
        let shape = shape.with(haw: 40, accessedDirty: true)
        let mask = shape.configuration.hardwareUpdatedMask
        var random = SplitMix(seed: seed)
        let machine = try TestMemory(pages: 16)
        let top = machine.setUpperTables(shape, lowest: 11)
        for table in top..<top + 11 {
            var index = 0
            while index < 512 {
                let count = min(Int(random.next() % UInt64([2, 16, 64, 512][table % 4])) + 1, 512 - index)
                let first = UInt64(random.next() % 0x400_0000) << 13 | ~UInt64(index) << 12 & 0x1000
                if random.next() % 5 > 0 {
                    for offset in 0..<count {
                        machine.set(machine.page(table), index + offset, shape.leaf(first + UInt64(offset) << 12, 12))
                    }
                }
                index += count
            }
        }
        let stage = TranslationStage(configuration: shape.configuration, root: machine.base)
        let expected = (0..<16).map { Self.words(machine, $0) }
        let all = top + 11
        #expect(Self.check(stage, machine, expected, unknown: nil, mask: mask, &random) == all)
        // The hardware has used pages.
        for table in top..<top + 11 {
            for _ in 0..<16 {
                let index = Int(random.next() % 512)
                let word = machine.get(machine.page(table), index)
                if word != 0 { machine.set(machine.page(table), index, word ^ mask & random.next()) }
            }
        }
        #expect(Self.check(stage, machine, expected, unknown: nil, mask: mask, &random) == all)
        // And had used them when they were recorded.
        let used = (0..<16).map { Self.words(machine, $0) }
        #expect(Self.check(stage, machine, used, unknown: nil, mask: mask, &random) == all)
        for _ in 0..<24 {
            let (page, index) = (machine.page(top + Int(random.next() % 11)), Int(random.next() % 512))
            let (word, bit) = (machine.get(page, index), UInt64(1) << (random.next() % 64))
            guard bit & mask == 0 else { continue }
            machine.set(page, index, word ^ bit)
            #expect(Self.check(stage, machine, expected, unknown: nil, mask: mask, &random) == all - 1)
            machine.set(page, index, word)
        }
    }

    @Test(arguments: [[0, 512], [512, 0], [511, 1, 0], [-1, 512], [513]])
    func `runs that are none are not what a table holds`(counts: [Int]) throws {
        let machine = try TestMemory(pages: 16)
        let shape = Shape.all[0]
        let stage = TranslationStage(configuration: shape.configuration, root: machine.base)
        _ = Walker.scan(stage, memory: machine.view, ignoring: 0) { _, _, buffer in
            for (index, count) in counts.enumerated() { buffer[index] = .init(first: 0, stride: 0, count: count) }
            return counts.count
        } visit: {
            #expect(!$0.isAsExpected)
        }
    }
}
