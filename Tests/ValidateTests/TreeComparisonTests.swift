import IOMMUModel
import PageTables
import Testing

@testable import Validate

@Suite struct TreeComparisonTests {
    /// Two trees in the test machine's memory, filled word by word.
    struct Pair {
        var machine: TestMachine
        let configuration = PageTableConfiguration(topLevel: 2, hostAddressWidth: 46)!

        init() throws {
            machine = try TestMachine()
            // Domain slots 1 and 2 are three-level trees: reuse the second and add one more.
            machine.roots[1] = machine.frame()
            machine.roots.append(machine.frame())
        }

        func compare(leafSizes: Bool = false) -> TreeComparison {
            machine.withMemory {
                TreeComparison.compare(
                    configuration, root: machine.roots[1], configuration, root: machine.roots[2], memory: $0,
                    leafSizes: leafSizes)
            }
        }
    }

    @Test func `empty trees are equal`() throws {
        #expect(try Pair().compare() == .equal(mappedBytes: 0))
    }

    @Test func `leaf sizes count only when asked for`() throws {
        var pair = try Pair()
        pair.machine.map(1, 0x40_0000, 0x4000_0000, pages: 1, level: 1)
        pair.machine.map(2, 0x40_0000, 0x4000_0000, pages: 512)
        #expect(pair.compare() == .equal(mappedBytes: 0x20_0000))
        let range = IOVARange(first: IOVA(0x40_0000), bytes: 0x20_0000)!
        #expect(
            pair.compare(leafSizes: true)
                == .differs(TreeDifference(range: range, what: .pageSize(first: 21, second: 12))))
    }

    struct Edit: Sendable {
        var name: String
        var iova: UInt64
        var bytes: UInt64
        var what: TreeDifference.What
        var edit: @Sendable (inout TestMachine) -> Void
    }

    static let edits: [Edit] = [
        Edit(
            name: "address", iova: 0x3000, bytes: 0x1000,
            what: .address(first: PhysicalAddress(0x4000_3000), second: PhysicalAddress(0x4100_0000))
        ) { $0.map(2, 0x3000, 0x4100_0000, pages: 1) },
        Edit(
            name: "protection", iova: 0x2000, bytes: 0x1000, what: .protection(first: .readWrite, second: .read)
        ) { $0.map(2, 0x2000, 0x4000_2000, pages: 1, .read) },
        Edit(
            name: "missing", iova: 0x5000, bytes: 0x1000, what: .onlyInFirst(PhysicalAddress(0x4000_5000), .readWrite)
        ) { machine in
            let place = machine.entry(2, 0x5000, level: 0)
            machine.write(0, place)
        },
        Edit(
            name: "more", iova: 0x8000, bytes: 0x1000, what: .onlyInSecond(PhysicalAddress(0x4000_8000), .readWrite)
        ) { $0.map(2, 0x8000, 0x4000_8000, pages: 1) },
        Edit(
            name: "far away", iova: 0x7f_ffff_f000, bytes: 0x1000,
            what: .onlyInFirst(PhysicalAddress(0x4000_0000), .readWrite)
        ) { $0.map(1, 0x7f_ffff_f000, 0x4000_0000, pages: 1) },
    ]

    @Test(arguments: 0..<edits.count)
    func `the first difference is named by range and kind`(number: Int) throws {
        let edit = Self.edits[number]
        var pair = try Pair()
        for slot in [1, 2] { pair.machine.map(slot, 0, 0x4000_0000, pages: 8) }
        #expect(pair.compare() == .equal(mappedBytes: 0x8000))
        edit.edit(&pair.machine)
        let range = IOVARange(first: IOVA(edit.iova), bytes: edit.bytes)!
        #expect(pair.compare() == .differs(TreeDifference(range: range, what: edit.what)), "\(edit.name)")
    }

    @Test func `a tree that cannot be read to its end is never equal`() throws {
        var pair = try Pair()
        for slot in [1, 2] {
            pair.machine.map(slot, 0, 0x4000_0000, pages: 8)
            pair.machine.write(0x4200_0003, pair.machine.entry(slot, 0x4000_0000, level: 2))
        }
        guard case .unreadable(let root, _) = pair.compare() else {
            Issue.record("taken as equal")
            return
        }
        #expect(root == pair.machine.roots[1])
    }

    @Test(arguments: 0..<60)
    func `the cursor tells the runs that the enumeration tells`(seed: UInt64) throws {
        var random = RunMergeTests.Random(state: seed)
        var pair = try Pair()
        for _ in 0..<30 {
            let page = UInt64.random(in: 0..<2048, using: &random)
            let target = UInt64.random(in: 0..<3, using: &random) * 0x10_0000 + 0x4000_0000 + page * 4096
            let protection: Protection = Bool.random(using: &random) ? .readWrite : .read
            let pages = Int.random(in: 1..<40, using: &random)
            pair.machine.map(1, page * 4096, target, pages: pages, protection)
        }
        let tree = pair.machine.withMemory {
            Walker.scan(pair.configuration, root: pair.machine.roots[1], memory: $0)
        }
        var cursor = tree.runCursor()
        var runs: [TranslatedRun] = []
        while let next = cursor.next() { runs.append(next.run) }
        #expect(runs == tree.runs())
        #expect(cursor.next() == nil)
    }
}
