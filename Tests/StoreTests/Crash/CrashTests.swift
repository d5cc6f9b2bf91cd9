import Testing

@testable import Store

/// Every operation of the store, cut off in every way that a process, a host and a disk know: what is found afterwards is
/// exactly the old state or the new one, and what was told to have succeeded is there.
///
/// `DOMSTORE_CRASH` gives the sizes, `DOMSTORE_TEST_SEED` replays a run.
@Suite("Crashes of the store")
struct StoreCrashTests {
    @Test("The process dies at any point of any operation: exactly old or new, and so after any recovery")
    func prefixes() throws {
        var points = Judge.Tally()
        var recovery = Judge.Tally()
        for operation in Operation.all {
            let (found, recovered) = try CrashSuite(operation).prefixes(
                CrashSizes.current)
            print("\(operation): \(found.total) points, \(recovered.total) of their recovery")
            points.add(found)
            recovery.add(recovered)
        }
        print(
            """
            write prefixes: \(points.total) points of \(Operation.all.count) operations, \(points.old) old, \
            \(points.new) new, \(points.broken) broken; of their recovery: \(recovery.total) points, \
            \(recovery.broken) broken
            """)
        let all = points.total + (CrashSizes.current.everySector ? recovery.total : 0)
        #expect(all >= CrashSizes.current.leastPoints)
        #expect(points.examples == [] && recovery.examples == [])
    }

    @Test("The power fails at any moment: torn, dropped and reordered sectors leave exactly old or new")
    func torn() throws {
        let seed = CrashSizes.seed
        var tally = Judge.Tally()
        var recovery = Judge.Tally()
        let share = (CrashSizes.current.torn + Operation.all.count - 1) / Operation.all.count
        for (index, operation) in Operation.all.enumerated() {
            let (found, recovered) = try CrashSuite(operation).torn(
                share, seed: seed &+ UInt64(index), recoveryPoints: CrashSizes.current.tornRecovery)
            tally.add(found)
            recovery.add(recovered)
        }
        print(
            """
            torn, dropped and reordered sectors: \(tally.total) samples (\(tally.distinct) different states), \
            \(tally.old) old, \(tally.new) new, \(tally.broken) broken; of their recovery: \(recovery.total) points, \
            \(recovery.broken) broken, DOMSTORE_TEST_SEED=\(seed)
            """)
        #expect(tally.examples == [] && recovery.examples == [])
    }

    @Test("The power fails right after a success was told: nothing is lost")
    func powerCuts() throws {
        let seed = CrashSizes.seed
        var tally = Judge.Tally()
        for (index, operation) in Operation.all.enumerated() {
            tally.add(
                try CrashSuite(operation).powerCuts(CrashSizes.current.powerCuts, seed: seed &+ UInt64(index)))
        }
        print(
            """
            power cuts after a success: \(tally.total) (\(CrashSizes.current.powerCuts) for each of \
            \(Operation.all.count) operations, \(tally.distinct) different states), \(tally.broken) lost, \
            DOMSTORE_TEST_SEED=\(seed)
            """)
        #expect(tally.examples == [])
    }

    @Test("A seal that does not fit into SQLite's cache goes into the file before the journal has all of it")
    func spills() throws {
        // The other one fits: what is looked for is no property of every seal.
        for (operation, isSpilled) in [(Operation.spill, true), (Operation.seal, false)] {
            let recording = try Recording(operation)
            var inodes: [String: Int] = [:]
            var writes = 0
            var journalled = 0
            for call in recording.calls {
                switch call {
                case .create(let name, let inode): inodes[name] = inode
                case .begin: (writes, journalled) = (0, 0)
                case .write(inodes["1.domstore"], _, _): writes += 1
                // A page as it was, and not the 28 bytes that end a journal.
                case .write(inodes["1.domstore-journal"], _, let bytes) where bytes.count >= 4096 && writes > 0:
                    journalled += 1
                default: break
                }
            }
            #expect(writes > 5 && (journalled > 0) == isSpilled, "\(operation): \(journalled) of \(writes)")
        }
    }
}
