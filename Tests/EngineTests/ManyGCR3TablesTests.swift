import Hardware
import IOMMUModel
import PageTables
import Testing

@testable import Engine

/// A device whose PASIDs need every GCR3 table that there can be.
@Suite struct ManyGCR3TablesTests {
    private let one = TestMachine.rid("00:03.0")
    /// One PASID of each table of level 1.
    private let pasids = stride(from: UInt32(0), to: 1 << 20, by: 512).compactMap { PASID($0 | 5) }

    /// Seconds in a debug build; minutes when each change compares each table with every other.
    @Test(.timeLimit(.minutes(1)))
    func `each of 2,048 tables is made with its first PASID and goes with its last`() throws {
        let machine = try UnitFlavour.amdV2.machine()
        var engine = try LiveEngine.start(machine) { _ in }
        let (_, hwpt) = try engine.space(.amdV2)
        let stage = try unwrapped(engine.domain(engine.hwpt(hwpt)!.domain)?.table?.stage)
        let device = try #require(machine.device(one))
        let tables = machine.units[0].lookupTables(memory: machine.memory.view)
        let entry = LookupEntry(path: .single(stage), tag: 9)
        let before = engine.arena.allocatedCount
        for pasid in pasids { _ = try tables.install(entry, for: device, pasid, arena: &engine.arena) }
        // One root, four tables below it, and theirs.
        #expect(engine.arena.allocatedCount == before + 1 + 4 + 2048)
        // Tables that damage emptied are looked through, each once.
        for pasid in pasids.dropLast() {
            let place = try #require(tables.entryAddress(device, pasid))
            #expect(machine.memory.setWord(0, at: place))
        }
        for _ in 0..<4 { _ = try tables.install(entry, for: device, pasids[0], arena: &engine.arena) }
        for pasid in pasids { _ = try tables.install(entry, for: device, pasid, arena: &engine.arena) }
        for pasid in pasids { _ = tables.clear(device, pasid, arena: &engine.arena) }
        #expect(engine.arena.allocatedCount == before)
        #expect(tables.deviceEntry(device) == nil)
    }
}
