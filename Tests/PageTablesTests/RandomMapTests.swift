import IOMMUModel
import PageTables
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// KUnit `test_random_map` (reference/page-table-formats.md section 4) and the exactness of the table count.
struct RandomMapTests {
    /// `DOMSTORE_SEED` replays one seed.
    static var seeds: [UInt64] {
        if let text = getenv("DOMSTORE_SEED"), let seed = parseInteger(String(cString: text)) { return [seed] }
        return [1, 2, 3, 4]
    }

    struct Step {
        var iova: UInt64
        var pa: UInt64
        var bytes: UInt64
        var protection: Protection
    }

    /// A mapping inside `window` bytes from `base` on, of any size class and congruence.
    static func step(_ random: inout SplitMix, base: UInt64, window: UInt64, dense: UInt64) -> Step {
        // Both addresses agree below 2^congruence; the lengths keep the number of leaves small.
        let (congruence, longest): (UInt64, UInt64) = [(12, 4 << 20), (21, 3 << 30), (30, 6 << 30), (21, 8 << 20)]
            .randomElement(using: &random)!
        let unit: UInt64 = [1 << 12, 1 << 12, 1 << 21, 1 << 30].filter { $0 <= longest }.randomElement(using: &random)!
        let bytes = max(unit, UInt64.random(in: 1...longest, using: &random) & ~(unit - 1))
        let offset = UInt64.random(in: 0...(window - bytes), using: &random) & ~(unit - 1)
        let iova = base + offset
        let high = random.next() & dense & ~((1 << congruence) - 1)
        let pa = min(high, dense & ~((1 << 33) - 1)) | iova & ((1 << congruence) - 1)
        let protection = [Protection.read, .write, .readWrite].randomElement(using: &random)!
        return Step(iova: iova, pa: pa, bytes: bytes, protection: protection)
    }

    @Test(arguments: [39, 48, 57], [false, true])
    func `Random map and unmap agree with a list of leaves`(bits: Int, atTheTop: Bool) throws {
        for seed in Self.seeds {
            try run(bits: bits, atTheTop: atTheTop, seed: seed)
        }
    }

    private func run(bits: Int, atTheTop: Bool, seed: UInt64) throws {
        var random = SplitMix(seed: seed &* 1000 &+ UInt64(bits * 2 + (atTheTop ? 1 : 0)))
        let domain = try TestDomain(configuration(bits: bits, haw: 46), frames: 65536)
        let start = domain.arena.allocatedCount
        var oracle = LeafOracle(domain.configuration)
        let window: UInt64 = 48 << 30
        let base = atTheTop ? (1 << UInt64(bits)) - window : 0
        var mapped = 0
        var refused = 0
        for number in 0..<1000 {
            let step = Self.step(&random, base: base, window: window, dense: (1 << 46) - 1)
            let last = step.iova + step.bytes - 1
            // A step is a map or an unmap; unmaps are sometimes of what one leaf spans, so that they hit something.
            if Int.random(in: 0..<10, using: &random) < 6 {
                let frames = domain.arena.allocatedCount
                let failure = domain.failure { () throws(MapError) in
                    try domain.map(step.iova, step.pa, step.bytes, step.protection)
                }
                if let at = oracle.firstMapped(step.iova, last) {
                    #expect(failure == .overlap(at: IOVA(at)), "seed \(seed) step \(number)")
                    #expect(failure?.errno == .EADDRINUSE)
                    #expect(domain.arena.allocatedCount == frames)
                    refused += 1
                } else {
                    #expect(failure == nil, "seed \(seed) step \(number)")
                    oracle.map(step.iova, step.pa, step.bytes, step.protection)
                    mapped += 1
                }
            } else {
                #expect(
                    domain.unmap(step.iova, step.bytes) == oracle.unmap(step.iova, last), "seed \(seed) step \(number)")
            }
            for iova in [step.iova, last, max(step.iova, base + 1) - 1, min(last, base + window - 2) + 1] {
                expectSame(domain, oracle, iova, seed)
            }
            if number % 50 == 49 { #expect(domain.leaves() == oracle.leaves, "seed \(seed) step \(number)") }
        }
        #expect(mapped > 100 && refused > 50, "the steps hit nothing")
        #expect(domain.scan().defects.isEmpty)
        let left = oracle.unmap(base, base + window - 1)
        #expect(domain.unmap(0, 1 << UInt64(bits)) == left)
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
    @Test(arguments: [39, 48, 57], [(true, true), (true, false), (false, true), (false, false)])
    func `A map takes all the frames it needs or none`(bits: Int, sizes: (Bool, Bool)) throws {
        let shape = configuration(bits: bits, supports2M: sizes.0, supports1G: sizes.1)
        var random = SplitMix(seed: 7)
        for _ in 0..<40 {
            var step = Self.step(&random, base: 0, window: 16 << 30, dense: (1 << 46) - 1)
            if !sizes.0 { step.bytes = min(step.bytes, 64 << 20) }
            try expectExactFrames(shape, step)
        }
        // Small pages around whole 1G slots, below tables that are not there yet.
        try expectExactFrames(
            shape,
            Step(
                iova: 63 << 24, pa: (63 << 24) + (5 << 30), bytes: (2 << 30) + (17 << 20) + 4096, protection: .readWrite
            ))
    }

    private func expectExactFrames(_ shape: PageTableConfiguration, _ step: Step) throws {
        let other: UInt64 = 1 << UInt64(shape.addressBits - 1)
        let roomy = try TestDomain(shape, frames: 4096)
        try roomy.map(other, 0, 4096)
        let before = roomy.arena.allocatedCount
        try roomy.map(step.iova, step.pa, step.bytes)
        let needed = roomy.arena.allocatedCount
        var oracle = LeafOracle(shape)
        oracle.map(step.iova, step.pa, step.bytes, .readWrite)
        oracle.map(other, 0, 4096, .readWrite)
        #expect(roomy.leaves() == oracle.leaves)
        #expect(roomy.scan().nodeCount == needed)

        let exact = try TestDomain(shape, frames: needed)
        try exact.map(other, 0, 4096)
        try exact.map(step.iova, step.pa, step.bytes)
        #expect(exact.arena.availableCount == 0)
        guard needed > before else { return }

        let tight = try TestDomain(shape, frames: needed - 1)
        try tight.map(other, 0, 4096)
        let contents = tight.contents()
        let failure = tight.failure { () throws(MapError) in try tight.map(step.iova, step.pa, step.bytes) }
        #expect(failure == .outOfTables)
        #expect(failure?.errno == .ENOMEM)
        #expect(tight.arena.allocatedCount == before)
        #expect(tight.contents() == contents)
    }
}
