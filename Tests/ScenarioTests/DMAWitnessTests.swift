import IOMMUModel
import Testing

@testable import Engine
@testable import Scenario

/// What a handover's DMA is held against, where not all of it can be asked each time.
@Suite struct DMAWitnessTests {
    @Test func `of more runs than may be asked each stage asks others, and so all are`() throws {
        let machine = try FlavouredMachine.make([.secondStage])
        let frozen = try FlavouredMachine.frozen([.secondStage], on: machine)
        let snapshot = frozen.snapshot()
        _ = frozen.jump()
        let sampled = DMAWitness(machine, pagesPerDevice: 1)
        let carried = Set(snapshot.devices.filter(\.preserved).map(\.requester))
        func stages() -> [DMAWitness.Round] {
            (0..<64).map { sampled.probe(machine, translating: carried, preferred: .read, stage: $0) }
        }
        let before = stages()
        #expect(before.allSatisfy { $0.wrong == 0 })
        let runs = sampled.devices.reduce(0) { $0 + $1.runs.count }
        #expect(before.allSatisfy { $0.probes > 0 && $0.probes < runs })
        // One leaf leads elsewhere, and the caches have forgotten it.
        let leaf = try #require(snapshot.tablePages.last?.pages.entries.last { $0.level == 0 }).address
        let words = try #require(machine.memory.page(at: leaf))
        let slot = try #require((0..<512).last { words[$0] & 3 != 0 })
        words[slot] ^= 1 << 13
        for unit in machine.units { unit.invalidateAll() }
        let found = stages().count { $0.wrong > 0 }
        #expect(found > 0 && found < 64, "\(found)")
    }
}
