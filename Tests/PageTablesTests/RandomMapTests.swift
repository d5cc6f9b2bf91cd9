import IOMMUModel
import PageTables
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// KUnit `test_random_map` (reference/page-table-formats.md section 4) and the exactness of the table count.
struct RandomMapTests {
    /// `DOMSTORE_SEED` replays one seed; `DOMSTORE_RANDOM_SEEDS` says how many there are, few unless it does.
    static var seeds: [UInt64] {
        func number(_ name: String) -> UInt64? { getenv(name).flatMap { parseInteger(String(cString: $0)) } }
        if let seed = number("DOMSTORE_SEED") { return [seed] }
        return Array(1...max(1, min(number("DOMSTORE_RANDOM_SEEDS") ?? 2, 1 << 20)))
    }

    struct Step {
        var iova: UInt64
        var pa: UInt64
        var bytes: UInt64
        var protection: Protection

        var last: UInt64 { iova + (bytes - 1) }

        /// A mapping inside `window` bytes from `base` on, of any size class and congruence, to addresses below 2^46.
        init(_ random: inout SplitMix, base: UInt64, window: UInt64) {
            // Both addresses agree below 2^congruence; the lengths keep the number of leaves small.
            let congruence = UInt64.random(in: 12...30, using: &random)
            let longest = min(window, congruence < 21 ? 4 << 20 : congruence < 30 ? 3 << 30 : 6 << 30)
            let unit: UInt64 = [1 << 12, 1 << 12, 1 << 16, 1 << 21, 1 << 30].filter { $0 <= longest }
                .randomElement(using: &random)!
            bytes = max(unit, UInt64.random(in: 1...longest, using: &random) & ~(unit - 1))
            iova = base + UInt64.random(in: 0...(window - bytes), using: &random) & ~(unit - 1)
            let low: UInt64 = (1 << congruence) - 1
            pa = random.next() & ((1 << 46) - (1 << 33) - 1) & ~low | iova & low
            protection = [Protection.read, .write, .readWrite].randomElement(using: &random)!
        }

        init(iova: UInt64, pa: UInt64, bytes: UInt64) {
            (self.iova, self.pa, self.bytes, protection) = (iova, pa, bytes, .readWrite)
        }
    }

    /// Below and at the top of the input space: sign-extended, both halves; where a tree grows, its first and last levels.
    @Test(arguments: Shape.all(haw: 46), seeds)
    func `Random map and unmap agree with a list of leaves`(shape: Shape, seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let domain = try TestDomain(shape.configuration, frames: 65536)
        let start = domain.arena.allocatedCount
        var oracle = LeafOracle(shape)
        let window = min(48 << 30, shape.lastIOVA / 4 + 1)
        let bases = [0, shape.lastIOVA - (window - 1)]
        var mapped = 0
        var refused = 0
        for number in 0..<1000 {
            let base = bases.randomElement(using: &random)!
            let step = Step(&random, base: base, window: window)
            // A step is a map or an unmap; unmaps are sometimes of what one leaf spans, so that they hit something.
            if Int.random(in: 0..<10, using: &random) < 6 {
                let (frames, table) = (domain.arena.allocatedCount, domain.table)
                let failure = domain.failure { () throws(MapError) in
                    try domain.map(step.iova, step.pa, step.bytes, step.protection)
                }
                if let at = oracle.firstMapped(step.iova, step.last) {
                    #expect(failure == .overlap(at: IOVA(at)), "seed \(seed) step \(number)")
                    #expect(failure?.errno == .EADDRINUSE)
                    #expect(domain.arena.allocatedCount == frames && domain.table == table)
                    refused += 1
                } else {
                    #expect(failure == nil, "seed \(seed) step \(number)")
                    oracle.map(step.iova, step.pa, step.bytes, step.protection)
                    mapped += 1
                }
            } else {
                #expect(
                    domain.unmap(step.iova, step.bytes) == oracle.unmap(step.iova, step.last),
                    "seed \(seed) step \(number)")
            }
            let end = base + (window - 1)
            for iova in [step.iova, step.last, max(step.iova, base + 1) - 1, min(step.last, end - 1) + 1] {
                expectSame(domain, oracle, iova, seed)
            }
            if number % 50 == 49 { #expect(domain.leaves() == oracle.leaves, "seed \(seed) step \(number)") }
        }
        #expect(mapped > 100 && refused > 50, "the steps hit nothing")
        #expect(domain.configuration.topLevel == shape.configuration.maximumTopLevel)
        #expect(domain.scan().defects.isEmpty)
        let left = bases.reduce(0) { $0 + oracle.unmap($1, $1 + (window - 1)) }
        #expect(domain.unmapAll() == left)
        #expect(domain.leaves().isEmpty)
        #expect(domain.arena.allocatedCount == start)
        #expect(domain.table.destroy(memory: domain.view, arena: &domain.arena) == 1)
        #expect(domain.arena.allocatedCount == 0)
    }

    private func expectSame(_ domain: TestDomain, _ oracle: LeafOracle, _ iova: UInt64, _ seed: UInt64) {
        let leaf = oracle.leaf(at: iova)
        for access in [Access.read, .write] {
            let found = Walker.translate(
                domain.configuration, root: domain.table.root, memory: domain.view, iova: IOVA(iova), access: access)
            guard let leaf, leaf.protection.contains(access.needs) else {
                #expect(found.translation == nil, "seed \(seed)")
                continue
            }
            #expect(found.translation?.pa.rawValue == leaf.pa + (iova - leaf.iova), "seed \(seed)")
            #expect(found.translation?.pageSizeLog2 == leaf.log2, "seed \(seed)")
            #expect(found.translation?.protection == leaf.protection, "seed \(seed)")
        }
    }

    /// A range is refused exactly when a frame would be missing, before anything is written.
    @Test(arguments: Shape.all, [(true, true), (true, false), (false, true), (false, false)])
    func `A map takes all the frames it needs or none`(shape: Shape, supported: (Bool, Bool)) throws {
        guard !shape.isAMD || supported == (true, true) else { return }
        let shape = shape.with(supports2M: supported.0, supports1G: supported.1)
        var random = SplitMix(seed: 7)
        let window: UInt64 = min(16 << 30, shape.lowEnd &- 1)
        for _ in 0..<40 {
            var step = Step(&random, base: 0, window: window & ~0xfff)
            if !supported.0 { step.bytes = min(step.bytes, 64 << 20) }
            try expectExactFrames(shape, step)
        }
        // Small pages around whole 1G slots, below tables that are not there yet.
        try expectExactFrames(
            shape, Step(iova: 63 << 24, pa: (63 << 24) + (5 << 30), bytes: (2 << 30) + (17 << 20) + 4096))
        // Around slots of 512G, of which two are one leaf on AMD v1 and one is none.
        guard shape.isAMD, shape.bits == 64 else { return }
        for offset in [0, 1 << 39, 1 << 40, 5 << 39] as [UInt64] {
            for (before, after) in [(0, 0), (4096, 1 << 21), (1 << 30, 0)] as [(UInt64, UInt64)] {
                let iova = 3 << 41 + offset - before
                for pa in [iova, iova + 1 << 39, iova + 1 << 40] {
                    try expectExactFrames(
                        shape, Step(iova: iova, pa: pa & ((1 << 52) - 1), bytes: before + 5 << 39 + after))
                }
            }
        }
    }

    private func expectExactFrames(_ shape: Shape, _ step: Step) throws {
        let other: UInt64 = 1 << UInt64(shape.bits - 2)
        // A tree that grows: with a page that has made it grow before, and without.
        for first in shape.isAMD ? [other, 0] : [other] where first > step.last || first + 0xfff < step.iova {
            let roomy = try TestDomain(shape.configuration, frames: 4096)
            try roomy.map(first, 0, 4096)
            let before = roomy.arena.allocatedCount
            try roomy.map(step.iova, step.pa, step.bytes)
            let needed = roomy.arena.allocatedCount
            var oracle = LeafOracle(shape)
            oracle.map(step.iova, step.pa, step.bytes, .readWrite)
            oracle.map(first, 0, 4096, .readWrite)
            #expect(roomy.leaves() == oracle.leaves)
            #expect(roomy.scan().nodeCount == needed)

            let exact = try TestDomain(shape.configuration, frames: needed)
            try exact.map(first, 0, 4096)
            try exact.map(step.iova, step.pa, step.bytes)
            #expect(exact.arena.availableCount == 0)
            guard needed > before else { continue }

            let tight = try TestDomain(shape.configuration, frames: needed - 1)
            try tight.map(first, 0, 4096)
            let (contents, table) = (tight.contents(), tight.table)
            let failure = tight.failure { () throws(MapError) in try tight.map(step.iova, step.pa, step.bytes) }
            #expect(failure == .outOfTables)
            #expect(failure?.errno == .ENOMEM)
            #expect(tight.arena.allocatedCount == before && tight.table == table)
            #expect(tight.contents() == contents)
        }
    }
}
