import IOMMUModel
import PageTables
import Testing

/// Translation through a guest's tables and the host's, against composing two walks of one stage.
struct NestedTests {
    /// Which second stages stand below which first ones.
    static let pairs: [(first: Shape, second: Shape)] = [
        (Shape.all[5], Shape.all[3]), (Shape.all[6], Shape.all[4]), (Shape.all[7], Shape.all[0]),
        (Shape.all[5], Shape.wideAMD), (Shape.all[0], Shape.all[2]),
    ]

    /// Random first-stage tables in pages of a guest, which a second stage scatters over the host's memory.
    struct Machine {
        var guest: RandomTables
        let second: TestDomain
        let memory: PhysicalMemory
        var first: TranslationStage { guest.stage }
        var host: TranslationStage {
            TranslationStage(configuration: second.configuration, root: second.table.root)
        }

        init(_ pair: (first: Shape, second: Shape), seed: UInt64) throws {
            let pages = 24
            let guest = try RandomTables(pair.first.with(haw: 40), seed: seed, pages: pages)
            let second = try TestDomain(pair.second.with(haw: 40).configuration, frames: 2048)
            func map(_ number: Int, _ host: UInt64, _ protection: Protection) throws {
                try second.map(guest.machine.page(number).rawValue, host, 4096, protection)
            }
            var random = SplitMix(seed: seed)
            let hostBase: UInt64 = 0x4000_0000
            let scattered = try TestMemory(at: hostBase, pages: pages)
            for (number, place) in (0..<pages).shuffled(using: &random).enumerated() {
                for index in 0..<512 {
                    scattered.set(scattered.page(place), index, guest.machine.get(guest.machine.page(number), index))
                }
                // Some tables cannot be read, some cannot be written, some are nowhere.
                switch number == 0 ? 9 : Int.random(in: 0..<12, using: &random) {
                case 0: break
                case 1: try map(number, scattered.page(place).rawValue, .write)
                case 2: try map(number, 0x7fff_f000, .readWrite)
                case 3, 4: try map(number, scattered.page(place).rawValue, .read)
                default: try map(number, scattered.page(place).rawValue, .readWrite)
                }
            }
            // What the guest's leaves may name, in pages of all sizes; half of it.
            for slot in 1..<512 where Bool.random(using: &random) {
                let base = UInt64(slot) << 30
                let size = [12, 21, 30].randomElement(using: &random)! as UInt64
                let length: UInt64 = size == 12 ? 5 << 12 : size == 21 ? 3 << 21 : 1 << 30
                let offset = UInt64.random(in: 0...((1 << 30) - length), using: &random) & ~((1 << size) - 1)
                let pa = UInt64.random(in: 0..<512, using: &random) << 30 + offset
                let protection = [Protection.readWrite, .readWrite, .read, .write].randomElement(using: &random)!
                try second.map(base + (size == 30 ? 0 : offset & ~(1 << 24)), pa & ~(1 << 24), length, protection)
            }
            var all = PhysicalMemory()
            for segment in second.machine.memory.segments + scattered.memory.segments {
                try all.add(
                    at: segment.range.first, byteCount: segment.range.byteCount!, region: segment.region)
            }
            memory = all
            self.guest = guest
            self.second = second
        }

        /// Two walks of one stage each, the first with its tables looked up one by one.
        func oracle(_ iova: UInt64, _ access: Access) -> (NaiveWalk, NestedTranslation.Stage?, guest: UInt64?) {
            var refused: (NaiveWalk, UInt64)?
            let upper = NaiveWalk(first, memory, iova, access) { page in
                let walk = NaiveWalk(host, memory, page, .read)
                if case .translated(let pa, _, _, _, _, _) = walk { return pa }
                refused = (walk, page)
                // Nothing is there: the walk ends.
                return 0xdead_0000_0000
            }
            if let refused { return (refused.0, .second, refused.1) }
            guard case .translated(let pa, let log2, let level, let protection, let isExecutable, let entry) = upper
            else { return (upper, .first, nil) }
            let lower = NaiveWalk(host, memory, pa, access)
            guard case .translated(let address, let lowerLog2, _, let lowerProtection, _, _) = lower else {
                return (lower, .second, pa)
            }
            let whole = NaiveWalk.translated(
                pa: address, log2: min(log2, lowerLog2), level: level,
                protection: protection.intersection(lowerProtection), isExecutable: isExecutable, entry: entry)
            return (whole, nil, pa)
        }
    }

    @Test(arguments: pairs.indices)
    func `Two stages translate as one after the other does`(pair: Int) throws {
        var stages: [NestedTranslation.Stage?: Int] = [:]
        for seed in 1...8 as ClosedRange<UInt64> {
            var machine = try Machine(Self.pairs[pair], seed: seed)
            let runs = Walker.scan(first: machine.first, second: machine.host, memory: machine.memory.view)
                .runs(memory: machine.memory.view)
            expectMaximal(runs)
            // Addresses that lead somewhere, the ends of runs, and what is just beyond.
            var iovas = (0..<200).map { _ in machine.guest.iova() }
            for run in runs.prefix(50) {
                let (first, last) = (run.range.first.rawValue, run.range.last.rawValue)
                iovas += [first, last, first &- 1, last &+ 1]
            }
            for iova in iovas {
                let run = runs.first { $0.range.contains(IOVA(iova)) }
                for access in [Access.read, .write, .execute] {
                    let found = try expectSame(machine, iova, access, run, seed)
                    stages[found.stage, default: 0] += 1
                }
            }
        }
        #expect(stages.count == 3 && stages.values.allSatisfy { $0 > 20 }, "the addresses hit nothing")
    }

    /// One access, by the walker, the oracle, the run that was told, and the trace.
    private func expectSame(
        _ machine: Machine, _ iova: UInt64, _ access: Access, _ run: TranslatedRun?, _ seed: UInt64
    ) throws -> NestedTranslation {
        let view = machine.memory.view
        let found = Walker.translate(
            first: machine.first, second: machine.host, memory: view, iova: IOVA(iova), access: access)
        let (walk, stage, guest) = machine.oracle(iova, access)
        #expect(NaiveWalk(found.result) == walk, "seed \(seed) \(hex(iova)) \(access)")
        #expect(found.stage == stage)
        if let guest { #expect(found.guestAddress?.rawValue == guest) }
        if access != .execute {
            let isTold = run?.protection.contains(access.needs) ?? false
            #expect((found.translation != nil) == isTold, "seed \(seed) \(hex(iova))")
        }
        if let run, let translation = found.translation {
            #expect(translation.pa == run.pa.offset(by: iova - run.range.first.rawValue))
            #expect(translation.protection == run.protection)
        }
        expectSame(
            Walker.trace(first: machine.first, second: machine.host, memory: view, iova: IOVA(iova), access: access),
            found)
        return found
    }

    @Test func `A contiguous leaf of the second stage that lost an item is told without it`() throws {
        let guest = try TestDomain(Self.pairs[3].first.configuration, frames: 16)
        try guest.map(0x20_0000, 0x4020_0000, 0x20_0000)
        let host = try TestDomain(Self.pairs[3].second.configuration, frames: 64)
        let base = guest.machine.base.rawValue
        try host.map(base, base + 0x1000_0000, 16 << 12)
        try host.map(0x4021_0000, 0x9021_0000, 0x1_0000)
        let lost = try #require(host.trace(0x4021_3000).steps.last?.entryAddress)
        host.machine.set(lost.pageBase, Int(lost.pageOffset / 8), 0)
        var memory = PhysicalMemory()
        try memory.add(at: host.machine.base, byteCount: 64 << 12, region: host.machine.memory.segments[0].region)
        try memory.add(
            at: PhysicalAddress(base + 0x1000_0000), byteCount: 16 << 12,
            region: guest.machine.memory.segments[0].region)
        let tree = Walker.scan(
            first: .init(configuration: guest.configuration, root: guest.table.root),
            second: .init(configuration: host.configuration, root: host.table.root), memory: memory.view)
        #expect(
            tree.runs(memory: memory.view).map { [$0.range.first.rawValue, $0.range.last.rawValue, $0.pa.rawValue] }
                == [[0x21_0000, 0x21_2fff, 0x9021_0000], [0x21_4000, 0x21_ffff, 0x9021_4000]])
        var cursor = tree.runCursor(memory: memory.view)
        #expect(cursor.next()?.pageSizeLog2 == 16)
    }

    private func expectMaximal(_ runs: [TranslatedRun]) {
        for (run, next) in zip(runs, runs.dropFirst()) {
            #expect(run.range.last < next.range.first)
            let continues =
                run.range.last.rawValue &+ 1 == next.range.first.rawValue && run.protection == next.protection
                && run.pa.rawValue + run.range.lastOffset + 1 == next.pa.rawValue
            #expect(!continues, "two runs that are one")
        }
    }

    /// The steps lead to what the result is about.
    private func expectSame(_ trace: NestedTrace, _ found: NestedTranslation) {
        #expect(trace.result == found)
        for step in trace.steps {
            #expect(step.table.result.translation?.pa == step.entryAddress.pageBase)
        }
        switch (found.stage, found.result) {
        case (nil, .translated(let translation)):
            #expect(trace.steps.last?.entryAddress == translation.entryAddress)
            #expect(trace.last?.result.translation?.pa == translation.pa)
        case (.second, _): #expect(trace.last?.result == found.result)
        case (_, .fault(_, _, let entry)):
            #expect(trace.steps.last?.entryAddress == entry)
            #expect(entry == nil || trace.steps.last?.guestEntry == found.guestAddress)
            #expect(trace.last == nil)
        default: #expect(trace.last == nil)
        }
    }

    @Test(arguments: pairs.indices, 1...8 as ClosedRange<UInt64>)
    func `A scan of a first stage tells exactly the tables that the second stage hides`(pair: Int, seed: UInt64) throws
    {
        let machine = try Machine(Self.pairs[pair], seed: seed)
        let shape = machine.first.configuration
        let tree = Walker.scan(first: machine.first, second: machine.host, memory: machine.memory.view).first
        #expect(tree.isComplete)
        #expect(Set(tree.nodes).count == tree.nodeCount)
        var wanted: Set<String> = []
        for node in tree.nodes {
            let slots = node.level == shape.topLevel ? 1 << (shape.addressBits - 12 - 9 * node.level) : 512
            for index in 0..<min(slots, 512) {
                let word = try #require(machine.memory.word(at: node.page.offset(by: UInt64(index) * 8)!))
                let entry = PageTableEntry.decode(word, level: node.level, configuration: shape)
                guard case .table(let guest, _) = entry.kind else { continue }
                let place = node.page.offset(by: UInt64(index) * 8)!
                switch NaiveWalk(machine.host, machine.memory, guest.rawValue, .read) {
                case .translated(let pa, _, _, _, _, _):
                    let page = PhysicalAddress(pa)
                    if machine.memory.page(at: page) == nil { wanted.insert("\(place) absent \(page)") }
                default: wanted.insert("\(place) unmapped \(guest)")
                }
            }
        }
        var found: Set<String> = []
        for defect in tree.defects {
            let place = try #require(defect.entryAddress)
            #expect(machine.memory.word(at: place) == defect.value)
            switch defect.kind {
            case .unmappedGuestTable(let page): found.insert("\(place) unmapped \(page)")
            case .absentPage(let page): found.insert("\(place) absent \(page)")
            default: break
            }
        }
        #expect(found == wanted)
    }
}
