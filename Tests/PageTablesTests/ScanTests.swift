import IOMMUModel
import PageTables
import Testing

struct ScanTests {
    static let widths = [39, 48, 57]

    /// Sparse tables full of everything that can go wrong: the words point to each other at random.
    static func randomTables(seed: UInt64, bits: Int, pages: Int) throws -> (TestMemory, PageTableConfiguration) {
        var random = SplitMix(seed: seed)
        let machine = try TestMemory(pages: pages)
        let shape = configuration(bits: bits, haw: 40)
        for page in 0..<pages {
            var index = Int.random(in: 0..<8, using: &random)
            for _ in 0..<Int.random(in: 1...5, using: &random) where index < 512 {
                let rights = UInt64([3, 3, 3, 1, 2, 0].randomElement(using: &random)!)
                let target = machine.page(Int.random(in: 0..<pages, using: &random)).rawValue
                var word: UInt64
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<6: word = target | rights
                case 6: word = 0x80_0000_0000 - 0x4000 | rights
                case 7: word = UInt64.random(in: 0..<512, using: &random) << 30 | 0x80 | rights
                case 8: word = (UInt64.random(in: 0..<512, using: &random) << 21) | 0x80 | rights
                default: word = random.next()
                }
                for _ in 0..<Int.random(in: 1...3, using: &random) where index < 512 {
                    machine.set(machine.page(page), index, word)
                    index += 1
                    if Bool.random(using: &random) { word &+= 0x1000 }
                }
                index += [0, 0, 1, 100, 400].randomElement(using: &random)!
            }
        }
        return (machine, shape)
    }

    @Test(arguments: widths, 1...20 as ClosedRange<UInt64>)
    func `A scan tells what a visit of every path tells`(bits: Int, seed: UInt64) throws {
        let (machine, shape) = try Self.randomTables(seed: seed, bits: bits, pages: 24)
        let tree = Walker.scan(shape, root: machine.base, memory: machine.view)
        let naive = NaiveTree(shape, root: machine.base, memory: machine.memory)
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
                let found = Walker.translate(
                    shape, root: machine.base, memory: machine.view, iova: iova, access: access)
                #expect(found.translation?.pa == run.pa.offset(by: iova.distance(from: run.range.first)))
                #expect(found.translation?.protection == run.protection)
            }
        }
    }

    private func expectSameDefects(_ tree: TableTree, _ naive: NaiveTree) {
        func addresses(_ pick: (TableDefect.Kind) -> Bool) -> [UInt64] {
            tree.defects.filter { pick($0.kind) }.map { $0.entryAddress?.rawValue ?? .max }.sorted()
        }
        // A page used at two levels is decoded, and so reported, once per level.
        #expect(Set(addresses { $0 == .reservedBits }) == naive.reserved)
        #expect(Set(addresses { $0 == .nonZeroNotPresent }) == naive.notPresent)
        #expect(
            Set(
                addresses {
                    if case .absentPage = $0 { true } else { false }
                }) == naive.absent)
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
        // Every use but a page's first one is a defect.
        let reports = tree.defects.filter { if case .reused = $0.kind { true } else { false } }
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
