import Foundation
import IOMMUModel
import Snapshot
import Testing

@testable import Store

/// A seal that a failing disk ends: the engine thaws, revokes what it cannot know, and hands over from the next generation.
@Suite("After a seal that failed")
struct FailedSealTests {
    private static let journal = [Operation.event(7), Operation.event(8, .phase)]
    private static let revoke = Operation.event(9, .revoke, [.init("generation", 1 as UInt64)])

    /// What may be found of generation 1: as before the seal, or as after it.
    private static func isWhole(_ first: StoreView.Generation) -> Bool {
        let passes = Operation.firstEngine
        let events: [UInt64]
        let state: Snapshot
        if first.seal == nil {
            (events, state) = (Array(1...6), passes[2].state)
        } else {
            (events, state) = (Array(1...8), passes[3].state)
        }
        return first.number == 1 && first.snapshot == state && first.events.map(\.sequence) == events
    }

    /// What is wrong with `view`; `nil`: generation 1 is whole and does not count, generation 2 has everything.
    private static func problem(_ view: StoreView, _ receipt: SealReceipt) -> String? {
        guard view.generations.map(\.number) == [1, 2], view.newest == 2 else {
            return "generations \(view.generations.map(\.number)), the newest is \(view.newest ?? 0)"
        }
        guard isWhole(view.generations[0]) else { return "generation 1 is neither old nor new" }
        let second = view.generations[1]
        guard second.seal?.receipt == receipt else { return "another seal" }
        guard second.snapshot == Operation.thawedEngine[2].state else { return "another state" }
        // Those that went down with the seal come first, and then that it does not count.
        let events = second.events.map(\.sequence)
        return events == Array(7...12) ? nil : "events \(events)"
    }

    /// Seals generation 1 after its passes. False when that failed.
    private static func seal(_ store: StoreLocation, _ recorder: CallRecorder) throws -> Bool {
        var writer = try Operation.opened(store, 1..<4)
        for (index, pass) in Operation.firstEngine.dropLast().enumerated() {
            try writer.precopy(pass.changes, events: [Operation.event(4 + UInt64(index))])
        }
        recorder.begin()
        do throws(StoreError) {
            _ = try writer.seal(Operation.firstEngine[3].changes, nonce: Operation.nonce, events: journal)
            return true
        } catch {
            return false
        }
    }

    /// What the engine does then: one transaction with what went down and the revocation, passes, a seal.
    private static func goOn(_ store: StoreLocation) throws -> SealReceipt {
        var writer = try store.create()
        try writer.append(journal + [revoke])
        let passes = Operation.thawedEngine
        try writer.precopy(passes[0].changes, events: [Operation.event(10)])
        try writer.precopy(passes[1].changes, events: [Operation.event(11)])
        let receipt = try writer.seal(
            passes[2].changes, nonce: Operation.nonce, events: [Operation.event(12, .phase)])
        try writer.release()
        return receipt
    }

    @Test(
        "the engine goes on in the next generation, pre-copies and seals it: nothing is missing, nothing is mixed",
        arguments: [EIO, ENOSPC])
    func goesOn(error: Int32) throws {
        let seed = CrashSizes.seed
        var random = SplitMix64(seed: seed)
        var (failed, unneeded, sealed, cuts) = (0, 0, 0, 0)
        // A debug build does not fail every call.
        for ordinal in stride(from: 1, through: Int.max, by: (CrashSizes.current.faultStride + 5) / 6) {
            let folder = try Folder(inMemory: true)
            let recorder = CallRecorder(folder, fault: Fault(ordinals: [ordinal], error: error))
            var receipt: SealReceipt?
            try recorder.record {
                let store = try StoreLocation(folder.path)
                if try !Self.seal(store, recorder) { receipt = try Self.goOn(store) }
            }
            // The seal has no such call any more.
            if recorder.failed.isEmpty { break }
            guard let receipt else {
                unneeded += 1
                continue
            }
            failed += 1
            let place = "call \(ordinal), \(recorder.failed)"
            let view = try StoreView(folder)
            #expect(Self.problem(view, receipt) == nil, "\(place)")
            if view.generations[0].seal != nil { sealed += 1 }
            // What was told then is durable, whatever the failed sync did.
            for losesFailedSyncs in [true, false] {
                var medium = Medium()
                medium.losesFailedSyncs = losesFailedSyncs
                for call in recorder.calls { medium.apply(call) }
                for share in [0, 0.5, 1] {
                    let scratch = try Folder(inMemory: true)
                    try medium.cut(.init(data: share, names: share), using: &random).write(to: scratch)
                    #expect(
                        Self.problem(try StoreView(scratch), receipt) == nil,
                        "\(place), then a power cut (\(losesFailedSyncs), \(share))")
                    cuts += 1
                }
            }
        }
        print(
            """
            seals that failed with errno \(error), and a handover after them: \(failed), \(sealed) sealed all the same and \
            revoked, \(unneeded) calls not needed, \(cuts) power cuts afterwards, DOMSTORE_TEST_SEED=\(seed)
            """)
        #expect(failed >= 4)
    }

    @Test("A pass that found no room is told again, and the generation is sealed")
    func roomAgain() throws {
        var failed = 0
        for ordinal in 1... {
            let folder = try Folder(inMemory: true)
            let recorder = CallRecorder(folder, fault: Fault(ordinals: [ordinal], error: ENOSPC))
            try recorder.record {
                let store = try StoreLocation(folder.path)
                var writer = try Operation.opened(store, 1..<4)
                let passes = Operation.firstEngine
                try writer.precopy(passes[0].changes)
                recorder.begin()
                do throws(StoreError) {
                    try writer.precopy(passes[1].changes, events: [Operation.event(4)])
                } catch {
                    failed += 1
                    try writer.precopy(passes[1].changes, events: [Operation.event(4)])
                }
                guard !recorder.failed.isEmpty else { return }
                try writer.precopy(passes[2].changes, events: [Operation.event(5)])
                _ = try writer.seal(passes[3].changes, nonce: nil, events: [Operation.event(6)])
                try writer.release()
                let view = try StoreView(folder)
                #expect(view.newest == 1 && view.generations[0].snapshot == passes[3].state, "call \(ordinal)")
                #expect(view.generations[0].events.map(\.sequence) == Array(1...6), "call \(ordinal)")
            }
            if recorder.failed.isEmpty { break }
        }
        print("passes that found no room and were told again: \(failed)")
        #expect(failed >= 4)
    }
}
