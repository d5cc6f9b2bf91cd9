import Engine
import Foundation
import IOMMUModel
import Snapshot
import Store
import Testing

@testable import Handover
@testable import Scenario

/// An engine whose seal failed: what it had told the failed generation it must tell the next one again, from the start.
@Suite("An engine after a seal that failed")
struct FailedSealTests {
    /// The directory of generations of one test.
    private final class Ground {
        let path = FileManager.default.temporaryDirectory.path + "/failed-seal-\(UUID().uuidString)"
        let location: StoreLocation

        init() throws {
            _ = try StoreLocation.makeDirectory(path)
            location = try StoreLocation(path)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    @Test(
        "it pre-copies and seals the next generation, which has everything",
        arguments: RecorderTests.machines, [1, 2] as [UInt64])
    func goesOn(flavours: [FlavouredMachine.Flavour], seed: UInt64) throws {
        let ground = try Ground()
        let buffer = EventBuffer()
        var engine = try LiveEngine.start(try RecorderTests.machine(flavours)) { buffer.append($0) }
        var steps = RecorderTests.Steps(seed: seed, flavours)
        for device in engine.devices { try? engine.claimOwner(device.group, token: 7) }
        steps.run(60, &engine)
        let first = try ground.location.create()
        var writer = RecordingWriter(first)
        let start = buffer.take()
        try writer.precopy(&engine, start)
        let before = try #require(start.first)
        steps.run(30, &engine)
        try writer.precopy(&engine, buffer.take())
        steps.run(30, &engine)
        // Freezes as soon as nothing stands in the way; steps go on until then.
        var journal: [Event] = []
        freezing: while true {
            switch engine.freeze() {
            case .refused(let live, _):
                engine = live
                steps.run(5, &engine)
            case .frozen(var frozen):
                journal = buffer.take()
                let changes = writer.recorder.changes(of: &frozen)
                // An event that is there already: the transaction fails when it has written half of what it has.
                #expect(throws: StoreError.self) {
                    _ = try writer.writer.seal(changes, nonce: nil, events: journal + [before])
                }
                engine = frozen.thaw()
                break freezing
            }
        }
        _ = consume writer
        engine.note(.revoke, "revoke", [.init("generation", 1 as UInt64)])

        var second = RecordingWriter(try ground.location.create())
        try second.append(journal + buffer.take())
        steps.run(20, &engine)
        try second.precopy(&engine, buffer.take())
        steps.run(20, &engine)
        try second.precopy(&engine, buffer.take())
        steps.run(10, &engine)
        var wanted: Snapshot?
        while wanted == nil {
            switch engine.freeze() {
            case .refused(let live, _):
                engine = live
                steps.run(5, &engine)
            case .frozen(var frozen):
                let changes = second.recorder.changes(of: &frozen)
                _ = try second.writer.seal(changes, nonce: nil, events: buffer.take())
                wanted = frozen.snapshot()
                engine = frozen.thaw()
            }
        }
        _ = consume second

        let old = try GenerationReader(path: ground.location.path(of: 1))
        #expect(old.seal == nil && old.defects().map(\.description) == [])
        let new = try GenerationReader(path: ground.location.path(of: 2))
        #expect(new.seal != nil && new.defects().map(\.description) == [])
        let back = try new.snapshot()
        let isEqual = back == wanted
        #expect(isEqual, "seed \(seed): \(RecorderTests.differences(back, wanted ?? back))")
        // Every event is in exactly one of the two, and in order.
        let told = try old.events().map(\.sequence) + new.events().map(\.sequence)
        #expect(told == Array(1...UInt64(told.count)))
        #expect(try ground.location.resolve() == ground.location.path(of: 2))
    }
}
