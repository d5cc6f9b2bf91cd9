import Foundation
import IOMMUModel
import Replay
import Store
import Testing

/// Stores that other processes wrote: hash seeds differ from one to the next, and nothing in a store may depend on them.
@Suite struct ReplayedStoreTests {
    static func noStart(_ header: GenerationHeader) throws(ReplayError) -> ReplayStart { throw .noStart("no parent") }

    @Test(arguments: ["two-devices", "amd-nested", "amd-mixed", "pasids"])
    func `two processes write the same files, and a third replays what the first restored`(scenario: String) throws {
        let folder = try ScratchFolder()
        let path = Fixtures.scenarios + scenario + ".json"
        for store in ["a", "b"] {
            #expect(try Binary.run(["handover", path, "--store", folder[store]]).status == 0)
        }
        for file in ["1.domstore", "2.domstore"] {
            #expect(try folder.bytes(of: "a/\(file)") == folder.bytes(of: "b/\(file)"), "\(file)")
        }
        let outcome = try GenerationReplay.run(2, in: try StoreLocation(folder["a"]), start: Self.noStart)
        #expect(outcome.events > 20)
    }

    @Test(arguments: ["after-seal", "in-restore", "after-restore", "in-replace"])
    func `so is a restore after a crash, and what the dead engine had done before it`(point: String) throws {
        let folder = try ScratchFolder()
        let (store, memory) = (folder["store"], folder["memory.elf"])
        let scenario = Fixtures.scenarios + "two-devices.json"
        #expect(
            try Binary.run(
                ["handover", scenario, "--store", store, "--memory", memory, "--crash-at", point]
            ).status == 128 + SIGKILL)
        #expect(try Binary.run(["restore", store, "--memory", memory, "--record", store]).status == 0)
        let location = try StoreLocation(store)
        let newest = try #require(try location.numbers().last)
        #expect(newest == (point == "after-seal" ? 2 : 3))
        guard point == "in-replace" else {
            #expect(try GenerationReplay.run(newest, in: location, start: Self.noStart).events > 20)
            return
        }
        // One device was switched, and its event had not reached the disk: the next engine finds what no file tells.
        #expect {
            try GenerationReplay.run(newest, in: location, start: Self.noStart)
        } throws: { error in
            guard case .diverges(let recorded?, _) = error as? ReplayError else { return false }
            return ["reserve-tag", "adopt-domain"].contains(recorded.name)
        }
    }
}
