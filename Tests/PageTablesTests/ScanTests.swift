import IOMMUModel
import PageTables
import Testing

struct ScanTests {
    static let widths = [39, 48, 57]

    @Test(arguments: Shape.all(haw: 40) + [Shape.wideAMD], 1...20 as ClosedRange<UInt64>)
    func `A scan tells what a visit of every path tells`(shape: Shape, seed: UInt64) throws {
        let tables = try RandomTables(shape, seed: seed, pages: 24)
        let machine = tables.machine
        let tree = Walker.scan(tables.stage, memory: machine.view)
        let naive = NaiveTree(shape.configuration, root: machine.base, memory: machine.memory)
        #expect(tree.isComplete)
        #expect(tree.runs() == naive.runs)
        var leaves: [NaiveTree.TranslatedLeafValue] = []
        let end = tree.forEachLeaf {
            leaves.append(
                .init(iova: $0.iova.rawValue, pa: $0.pa.rawValue, log2: $0.pageSizeLog2, protection: $0.protection))
            return true
        }
        #expect(end == .complete)
        #expect(leaves == naive.leaves)
        expectSameDefects(tree, naive)
        expectSameUses(tree, naive)
        for run in tree.runs().prefix(200) {
            for iova in [run.range.first, run.range.last] {
                let access: Access = run.protection.contains(.read) ? .read : .write
                let found = Walker.translate(tables.stage, memory: machine.view, iova: iova, access: access)
                #expect(found.translation?.pa == run.pa.offset(by: iova.distance(from: run.range.first)))
                #expect(found.translation?.protection == run.protection)
            }
        }
    }

    private func expectSameDefects(_ tree: TableTree, _ naive: NaiveTree) {
        // A page used at two levels is decoded, and so reported, once per level.
        var found: [String: Set<UInt64>] = [:]
        for defect in tree.defects {
            var name = "\(defect.kind)".prefix { $0 != "(" }.description
            if name == "reused" { continue }
            if name == "ignoredBits" { name = "ignoredBitsSet" }
            if name == "contiguousMisaligned" { name = "contigMisaligned" }
            found[name, default: []].insert(defect.entryAddress?.rawValue ?? .max)
        }
        #expect(found == naive.defects)
    }

    private func expectSameUses(_ tree: TableTree, _ naive: NaiveTree) {
        let wanted = naive.uses.mapValues { $0.mapValues { $0.map { $0 == .max ? nil : PhysicalAddress($0) } } }
        #expect(tree.nodeCount == wanted.values.reduce(0) { $0 + $1.count })
        #expect(tree.sortedNodes.count == Set(tree.nodes).count)
        var reused: [UInt64: [Int: Set<PhysicalAddress?>]] = [:]
        for entry in tree.reuse {
            for use in entry.uses {
                reused[entry.page.rawValue, default: [:]][use.level, default: []].insert(use.entryAddress)
            }
        }
        let wantedReuse = wanted.filter { $0.value.values.reduce(0) { $0 + $1.count } > 1 }
        #expect(reused == wantedReuse.mapValues { $0.mapValues { Set($0) } })
        // Every use but a page's first one is a defect; one that stands in a page of two levels may be told twice.
        var reports: Set<String> = []
        for defect in tree.defects {
            guard case .reused = defect.kind, let entry = defect.entryAddress else { continue }
            let decoded = PageTableEntry.decode(defect.value, level: defect.level, configuration: tree.configuration)
            if case .table(let page, let nextLevel) = decoded.kind { reports.insert("\(entry) \(page) \(nextLevel)") }
        }
        #expect(reports.count == wantedReuse.values.reduce(0) { $0 + $1.values.reduce(0) { $0 + $1.count } - 1 })
    }

    @Test func `A table that points to itself is decoded at both levels and reported at the later entry`() throws {
        let machine = try TestMemory()
        let shape = configuration(bits: 48)
        for level in 0..<3 { machine.set(machine.page(level), 0, machine.page(level + 1).rawValue | 3) }
        let middle = machine.page(2)
        machine.set(machine.page(3), 5, 0x20_0003)
        machine.set(middle, 9, middle.rawValue | 3)
        let tree = Walker.scan(shape, root: machine.base, memory: machine.view)
        #expect(
            tree.defects == [
                TableDefect(
                    kind: .reused(middle), entryAddress: middle.offset(by: 72), value: middle.rawValue | 3, level: 1,
                    range: IOVARange(first: IOVA(9 << 21), last: IOVA(10 << 21 - 1))!)
            ])
        #expect(tree.reuse.map(\.page) == [middle])
        #expect(tree.reuse.first?.uses.map(\.level) == [1, 0])
        #expect(tree.reuse.first?.uses.map(\.entryAddress) == [machine.page(1), middle.offset(by: 72)])
        // What the hardware translates: the words of the page, read as leaves.
        let second: UInt64 = 9 << 21
        let wanted: [[UInt64]] = [
            [0x5000, 0x5fff, 0x20_0000], [second, second + 0xfff, machine.page(3).rawValue],
            [second + 0x9000, second + 0x9fff, middle.rawValue],
        ]
        #expect(tree.runs().map { [$0.range.first.rawValue, $0.range.last.rawValue, $0.pa.rawValue] } == wanted)
    }

    @Test func `A table that is met before those above it is told through all of them`() throws {
        let machine = try TestMemory()
        let shape = Shape("amdv1", .init(format: .amdV1, topLevel: 3))
        let (leaves, middle, upper) = (machine.page(1), machine.page(2), machine.page(3))
        // Met in this order: the leaves by a skip, then tables of two levels that lead to them.
        machine.set(machine.base, 0, shape.table(leaves, level: 1))
        machine.set(machine.base, 1, shape.table(middle, level: 2))
        machine.set(machine.base, 2, shape.table(upper, level: 3))
        machine.set(middle, 3, shape.table(leaves, level: 1))
        machine.set(upper, 4, shape.table(middle, level: 2))
        machine.set(leaves, 5, shape.leaf(0x7000, 12))
        let tree = Walker.scan(shape.configuration, root: machine.base, memory: machine.view)
        let wanted: [UInt64] = [0, 1 << 39 | 3 << 21, 2 << 39 | 4 << 30 | 3 << 21]
        #expect(tree.runs().map(\.range.first) == wanted.map { IOVA($0 | 0x5000) })
        #expect(tree.nodes.map(\.level) == [3, 0, 1, 2])
        #expect(tree.reuse.map(\.uses.count) == [2, 2])
    }

    @Test(.timeLimit(.minutes(15)), arguments: widths)
    func `Every entry of every level pointing to one page ends within the budget`(bits: Int) throws {
        let machine = try TestMemory()
        for index in 0..<512 { machine.set(machine.base, index, machine.base.rawValue | 3) }
        let budget = ScanBudget(runs: 100_000, defects: 100)
        let tree = Walker.scan(configuration(bits: bits), root: machine.base, memory: machine.view, budget: budget)
        #expect(tree.nodeCount == (bits - 12) / 9)
        #expect(tree.defects.count == 101)
        #expect(tree.defects.last?.kind == .defectBudgetExceeded)
        #expect(!tree.isComplete)
        #expect(tree.reuse.map(\.uses.count) == [512 * (tree.nodeCount - 1) + 1])
        var told = 0
        let end = tree.forEachRun { _ in
            told += 1
            return true
        }
        guard case .budgetExceeded(let at) = end else {
            Issue.record("ended \(end)")
            return
        }
        #expect(told <= 100_000 && told > 99_000)
        #expect(at.rawValue <= UInt64(told) << 12)
        var leaves = 0
        #expect(
            tree.forEachLeaf { _ in
                leaves += 1
                return true
            } != .complete)
        #expect(leaves <= 100_000)
    }

    @Test(.timeLimit(.minutes(15)))
    func `Tables shared a million times over nothing end at once`() throws {
        let machine = try TestMemory()
        for level in 0..<4 {
            for index in 0..<512 { machine.set(machine.page(level), index, machine.page(level + 1).rawValue | 3) }
        }
        let tree = Walker.scan(configuration(bits: 57), root: machine.base, memory: machine.view)
        #expect(tree.forEachRun { _ in true } == .complete)
        #expect(tree.runs() == [])
        #expect(tree.nodeCount == 5)
    }

    @Test func `The budget of pages is a defect at the entry that it stops at`() throws {
        let machine = try TestMemory()
        for table in 1...10 {
            machine.set(machine.base, table, machine.page(table).rawValue | 3)
            machine.set(machine.page(table), 0, 0x4000_0083 + UInt64(table) << 40)
        }
        let shape = configuration(bits: 48)
        let tree = Walker.scan(shape, root: machine.base, memory: machine.view, budget: ScanBudget(pages: 4))
        #expect(!tree.isComplete)
        #expect(tree.nodeCount == 4)
        #expect(tree.defects.map(\.kind) == [.pageBudgetExceeded(machine.page(4))])
        #expect(tree.defects.map(\.entryAddress) == [machine.base.offset(by: 32)])
        let none = Walker.scan(shape, root: machine.base, memory: machine.view, budget: ScanBudget(pages: 0))
        #expect(none.defects.map(\.kind) == [.pageBudgetExceeded(machine.base)])
        #expect(none.runs() == [])
    }

    @Test func `An absent root is one defect without an entry`() throws {
        let machine = try TestMemory()
        let tree = Walker.scan(configuration(bits: 48), root: PhysicalAddress(0x7000), memory: machine.view)
        #expect(tree.defects.map(\.kind) == [.absentPage(PhysicalAddress(0x7000))])
        #expect(tree.defects.map(\.entryAddress) == [nil])
        #expect(tree.defects.map(\.range) == [IOVARange(first: IOVA(0), last: IOVA(1 << 48 - 1))!])
        #expect(tree.nodeCount == 0)
    }

    @Test func `Runs cross table pages and page sizes and stop at the input width`() throws {
        let machine = try TestMemory()
        let shape = PageTableConfiguration(topLevel: 3, addressBits: 40)!
        machine.set(machine.base, 0, machine.page(1).rawValue | 3)
        machine.set(machine.base, 1, machine.page(1).rawValue | 3)
        machine.set(machine.base, 2, machine.page(2).rawValue | 3)
        machine.set(machine.page(1), 510, machine.page(3).rawValue | 3)
        machine.set(machine.page(1), 511, 0x80_c000_0083)
        machine.set(machine.page(3), 511, machine.page(4).rawValue | 3)
        for index in 0..<512 {
            machine.set(machine.page(4), index, 0x80_bfe0_0003 + UInt64(index) << 12 | UInt64(index & 3) << 8)
        }
        let tree = Walker.scan(shape, root: machine.base, memory: machine.view)
        #expect(
            tree.runs().map { [$0.range.first.rawValue, $0.range.last.rawValue, $0.pa.rawValue] } == [
                [0x7f_bfe0_0000, 0x7f_ffff_ffff, 0x80_bfe0_0000], [0xff_bfe0_0000, 0xff_ffff_ffff, 0x80_bfe0_0000],
            ])
        #expect(tree.nodeCount == 4)
        var seen = 0
        #expect(
            tree.forEachRun { _ in
                seen += 1
                return false
            } == .stopped)
        #expect(seen == 1)
    }

    @Test func `An address that would grow into reserved bits ends its run`() throws {
        let machine = try TestMemory()
        let shape = configuration(bits: 39, haw: 36)
        machine.set(machine.base, 0, machine.page(1).rawValue | 3)
        machine.set(machine.page(1), 0, machine.page(2).rawValue | 3)
        for index in 0..<4 { machine.set(machine.page(2), index, 0xf_ffff_e003 + UInt64(index) << 12) }
        let tree = Walker.scan(shape, root: machine.base, memory: machine.view)
        #expect(tree.runs().map(\.range.last) == [IOVA(0x1fff)])
        #expect(tree.defects.map(\.kind) == [.reservedBits, .reservedBits])
        #expect(tree.defects.map(\.entryAddress) == [machine.page(2).offset(by: 16), machine.page(2).offset(by: 24)])
    }
}
