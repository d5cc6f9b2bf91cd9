import Foundation
import Testing

/// Two handovers into one directory, the second one cut off: a restore goes on from the first or from the second, never
/// from a mixture, and says which.
@Suite struct CrashTests {
    @Test(arguments: [
        ("in-pre-copy", SecondHandover.Outcome.first), ("before-seal", .first), ("in-seal", .first),
        ("before-nonce", .secondWithoutNonce), ("after-seal", .second),
        ("in-restore", .second), ("after-restore", .second), ("in-replace", .second),
    ])
    func `a crash at each point leaves the old state or the new one`(
        point: String, expected: SecondHandover.Outcome
    ) throws {
        let second = try SecondHandover()
        #expect(try Binary.run(second.arguments + ["--crash-at", point]).status == 128 + SIGKILL)
        #expect(try second.restore() == expected)
    }

    @Test(arguments: ["in-restore", "after-restore", "in-replace"])
    func `a restore that is cut off too is gone on with by the next one`(point: String) throws {
        let second = try SecondHandover()
        #expect(try Binary.run(second.arguments + ["--crash-at", "in-replace"]).status == 128 + SIGKILL)
        let restore = ["restore", second.store, "--memory", second.memory, "--record", second.store]
        #expect(try Binary.run(restore + ["--crash-at", point]).status == 128 + SIGKILL)
        #expect(try second.restore() == .second)
    }

    /// How often the process is killed: `DOMSTORE_CRASH` as for the suites of the store.
    private static let kills =
        switch ProcessInfo.processInfo.environment["DOMSTORE_CRASH"] {
        case "ci": 100
        case "soak": 10_000
        default: 25
        }

    /// `DOMSTORE_TEST_SEED` replays a run.
    @Test func `SIGKILL at random moments leaves the old state or the new one`() throws {
        let seed =
            ProcessInfo.processInfo.environment["DOMSTORE_TEST_SEED"].flatMap { UInt64($0) }
            ?? UInt64.random(in: 0...UInt64(UInt32.max))
        var random = Moments(state: seed)
        let clock = ContinuousClock()
        let undisturbed = try SecondHandover()
        let began = clock.now
        #expect(try Binary.run(undisturbed.arguments).status == 0)
        let whole = clock.now - began
        let microseconds =
            UInt64(whole.components.seconds) * 1_000_000
            + UInt64(whole.components.attoseconds / 1_000_000_000_000)
        var outcomes: [SecondHandover.Outcome: Int] = [:]
        for _ in 0..<Self.kills {
            let second = try SecondHandover()
            let moment = UInt32(clamping: random.next() % (microseconds + microseconds / 4))
            _ = try Binary.run(second.arguments, killAfter: moment)
            outcomes[try second.restore(), default: 0] += 1
        }
        let (old, new) = (outcomes[.first] ?? 0, outcomes[.second] ?? 0)
        print(
            """
            SIGKILL: \(Self.kills) moments within \(microseconds) microseconds: \(old) old, \(new) new, \
            \(Self.kills - old - new) new and finished or without memory, DOMSTORE_TEST_SEED=\(seed)
            """)
    }

    private struct Moments: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
    }
}
