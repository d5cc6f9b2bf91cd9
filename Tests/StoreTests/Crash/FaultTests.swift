import Foundation
import IOMMUModel
import Testing

@testable import Store

/// A disk that fails: at each call of each operation, once and from then on.
@Suite("Failing disks")
struct FaultTests {
    /// How a suite of faults went.
    private struct Tally {
        var runs = 0
        /// The error was told.
        var told = 0
        /// The operation went on to its end, as it may when the call was not needed.
        var unneeded = 0
        var judged = Judge.Tally()

        mutating func add(_ other: Tally) {
            runs += other.runs
            told += other.told
            unneeded += other.unneeded
            judged.add(other.judged)
        }
    }

    private static func faults(_ recording: Recording, seed: UInt64) -> [Fault] {
        let sizes = CrashSizes.current
        var faults: [Fault] = []
        for (error, count) in [(EIO, recording.callCount), (ENOSPC, recording.roomCallCount)] where count > 0 {
            // From a place of the seed's on, so that runs that skip some skip others each time.
            let first = 1 + Int(seed % UInt64(sizes.faultStride))
            for ordinal in stride(from: min(first, count), through: count, by: sizes.faultStride) {
                faults.append(Fault(ordinals: [ordinal], error: error))
                faults.append(Fault(ordinals: [ordinal], isSticky: true, error: error))
            }
        }
        let count = recording.callCount
        if count * (count - 1) / 2 <= sizes.faultPairs {
            for first in 1..<count {
                for second in first + 1...count { faults.append(Fault(ordinals: [first, second], error: EIO)) }
            }
        } else {
            var random = SplitMix64(seed: seed)
            for _ in 0..<sizes.faultPairs {
                let pair: Set = [1 + random.below(count), 1 + random.below(count)]
                faults.append(Fault(ordinals: pair, error: EIO))
            }
        }
        return faults
    }

    @Test("An error at any call leaves exactly old or new and is told; what is told to have succeeded is durable")
    func everyCall() async throws {
        let seed = CrashSizes.seed
        // Side by side: it is the longest of the suites.
        let tally = try await withThrowingTaskGroup(of: Tally.self) { group in
            for operation in Operation.all {
                group.addTask {
                    let recording = try Recording(operation)
                    let judge = try Judge(recording.views)
                    var tally = Tally()
                    for fault in Self.faults(recording, seed: seed) {
                        try Self.run(operation, fault, judge, end: recording.views.count - 1, seed: seed, &tally)
                    }
                    return tally
                }
            }
            return try await group.reduce(into: Tally()) { $0.add($1) }
        }
        print(
            """
            errors of the disk: \(tally.runs) runs, \(tally.told) told, \(tally.unneeded) not needed; \
            \(tally.judged.old) old, \(tally.judged.new) new, \(tally.judged.broken) broken, \
            DOMSTORE_TEST_SEED=\(seed)
            """)
        #expect(tally.judged.examples == [])
        #expect(tally.told > tally.unneeded)
    }

    private static func run(
        _ operation: Operation, _ fault: Fault, _ judge: Judge, end: Int, seed: UInt64, _ tally: inout Tally
    ) throws {
        let folder = try Folder(inMemory: true)
        let recorder = CallRecorder(folder, pragmas: operation.pragmas, fault: fault)
        var steps = Operation.Steps(recorder: recorder)
        var error: StoreError?
        do {
            try recorder.record { try operation.run(try StoreLocation(folder.path), &steps) }
        } catch let thrown as StoreError {
            error = thrown
        }
        tally.runs += 1
        if error != nil { tally.told += 1 } else { tally.unneeded += 1 }
        #expect(!recorder.failed.isEmpty, "\(operation): \(fault)")
        let successes = recorder.successes
        #expect(error != nil || successes == end, "\(operation): \(fault)")
        func judged(_ state: DiskState, _ place: String) throws {
            tally.judged.add(
                try judge.judge(state, after: successes, isEnd: error == nil), "\(operation), \(fault), \(place)")
        }
        try judged(try DiskState(folder), "error \(error?.description ?? "none")")
        // And then the power fails: what a failed sync was to write may be lost although a later one succeeded.
        guard recorder.failed.contains(.sync) else { return }
        var random = SplitMix64(seed: seed)
        for losesFailedSyncs in [true, false] {
            var medium = Medium()
            medium.losesFailedSyncs = losesFailedSyncs
            for call in recorder.calls { medium.apply(call) }
            for share in [0, 0, 0.5, 0.9, 1] {
                try judged(
                    medium.cut(.init(data: share, names: share), using: &random),
                    "then a power cut (\(losesFailedSyncs), \(share))")
            }
        }
    }

    @Test("After a failed sync the file is closed and not tried again", arguments: [false, true])
    func closed(seals: Bool) throws {
        var syncs = 0
        for ordinal in 1... {
            let folder = try Folder(inMemory: true)
            let recorder = CallRecorder(folder, fault: Fault(ordinals: [ordinal], error: EIO))
            try recorder.record {
                var writer = try StoreLocation(folder.path).create(number: 1)
                recorder.begin()
                do throws(StoreError) {
                    if seals {
                        _ = try writer.seal(Operation.snapshot(7, size: 2), nonce: nil)
                    } else {
                        try writer.append([Operation.event(1)])
                    }
                } catch {
                    guard recorder.failed == [.sync] else { return }
                    syncs += 1
                    #expect(recorder.openFiles == [])
                    let count = recorder.calls.count
                    #expect(throws: StoreError.closed(number: 1)) { try writer.append([Operation.event(2)]) }
                    #expect(throws: StoreError.closed(number: 1)) {
                        _ = try writer.seal(Operation.snapshot(7, size: 2), nonce: nil)
                    }
                    #expect(recorder.calls.count == count)
                }
            }
            if recorder.failed.isEmpty { break }
        }
        print("syncs of \(seals ? "a seal" : "an append") that failed, and closed the file: \(syncs)")
        #expect(syncs >= 4)
    }
}
