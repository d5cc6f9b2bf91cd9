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

    @Test(arguments: Shape.all, 1...8 as ClosedRange<UInt64>)
    func `tables of single leaves are told with the ends of their progressions`(shape: Shape, seed: UInt64) throws {
        let shape = shape.with(haw: 40, accessedDirty: true)
        var random = SplitMix(seed: seed)
        let machine = try TestMemory(pages: 16)
        let top = shape.configuration.topLevel
        for level in (1...top).reversed() {
            // Eleven tables of the lowest level, one of each above.
            for index in 0..<(level == 1 ? 11 : 1) {
                let next = machine.page(top - level + 1 + index)
                machine.set(machine.page(top - level), index, shape.table(next, level: level))
            }
        }
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
