import IOMMUModel
import PageTables
import Testing

/// Random words in tables: every walk, scan and mapping ends within its budget and reads nothing outside memory.
struct HostileTests {
    /// Pages full of words that mostly name each other.
    static func pages(_ shape: Shape, _ random: inout SplitMix, _ count: Int = 12) throws -> TestMemory {
        let machine = try TestMemory(pages: count)
        for page in 0..<count {
            let density = [512, 64, 8, 1].randomElement(using: &random)!
            for index in 0..<512 where Int.random(in: 0..<512, using: &random) < density {
                let target = machine.page(Int.random(in: 0..<count, using: &random))
                let level = shape.isAMD ? Int.random(in: 1...5, using: &random) : 1
                let word =
                    switch Int.random(in: 0..<6, using: &random) {
                    case 0: random.next()
                    case 1: shape.table(target, level: level) ^ 1 << UInt64.random(in: 0..<64, using: &random)
                    case 2: shape.leaf(0, shape.sizes.randomElement(using: &random)!) ^ random.next() & 0xf_ffff_f000
                    default: shape.table(target, level: level)
                    }
                machine.set(machine.page(page), index, word)
            }
        }
        return machine
    }

    static let shapes = Shape.all(haw: 46) + [Shape.wideAMD]

    @Test(arguments: shapes, 1...8 as ClosedRange<UInt64>)
    func `A scan decodes a page once per level and stays within its budgets`(shape: Shape, seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let machine = try Self.pages(shape, &random)
        let budget = ScanBudget(pages: 1000, runs: 3000, defects: 500)
        let stage = TranslationStage(configuration: shape.configuration, root: machine.base)
        let tree = Walker.scan(stage, memory: machine.view, budget: budget)
        #expect(Set(tree.nodes).count == tree.nodeCount, "a page was decoded twice at one level")
        #expect(tree.nodes.allSatisfy { $0.level <= shape.configuration.topLevel })
        #expect(tree.defects.count <= 501)
        var last: IOVA?
        var told = 0
        let end = tree.forEachRun { run in
            #expect(last.map { $0 < run.range.first } ?? true)
            #expect(shape.configuration.contains(run.range.first) && shape.configuration.contains(run.range.last))
            last = run.range.last
            told += 1
            return true
        }
        #expect(told <= 3000)
        if case .budgetExceeded(let at) = end, let last { #expect(last < at) }
        var leaves = 0
        tree.forEachLeaf {
            #expect($0.iova.isAligned(toLog2: $0.pageSizeLog2) && $0.pa.isAligned(toLog2: $0.pageSizeLog2))
            leaves += 1
            return true
        }
        #expect(leaves <= 3000)
        // Through itself as the second stage.
        let nested = Walker.scan(first: stage, second: stage, memory: machine.view, budget: budget)
        #expect(Set(nested.first.nodes).count == nested.first.nodeCount)
        var nestedRuns = 0
        nested.forEachRun(memory: machine.view) { _ in
            nestedRuns += 1
            return true
        }
        #expect(nestedRuns <= 3000)
    }

    @Test(arguments: shapes, 1...4 as ClosedRange<UInt64>)
    func `Walks, mappings and unmappings of random tables end`(shape: Shape, seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let machine = try Self.pages(shape, &random)
        let range = PhysicalRange(first: machine.page(8), bytes: 4 << 12)!
        var arena = try TableArena(ranges: [range], memory: machine.view)
        var table = PageTable(configuration: shape.with(haw: 46, accessedDirty: true).configuration, root: machine.base)
        for _ in 0..<300 {
            let iova = random.next() >> UInt64.random(in: 0..<52, using: &random)
            let stage = TranslationStage(configuration: table.configuration, root: table.root)
            for access in [Access.read, .write, .execute] {
                _ = Walker.translate(stage, memory: machine.view, iova: IOVA(iova), access: access)
                _ = Walker.translate(
                    first: stage, second: stage, memory: machine.view, iova: IOVA(iova), access: access)
            }
            _ = Walker.leaf(stage, memory: machine.view, iova: IOVA(iova))?.clean(memory: machine.view)
            let bytes = UInt64(4096) << UInt64.random(in: 0..<52, using: &random)
            do throws(MapError) {
                try table.map(
                    iova: IOVA(iova & ~0xfff), pa: PhysicalAddress(iova & 0x3fff_ffff_f000), byteCount: bytes,
                    protection: .readWrite, memory: machine.view, arena: &arena)
            } catch {
                #expect(error.errno != .EINVAL)
            }
            if Int.random(in: 0..<20, using: &random) == 0 {
                _ = table.unmap(
                    iova: IOVA(iova & ~0xfff), byteCount: bytes, memory: machine.view, arena: &arena)
            }
        }
        table.destroy(memory: machine.view, arena: &arena)
    }
}
