import Snapshot

@testable import Store

/// Whole files beside others: written under a temporary name.
extension Operation {
    static let fresh = Operation("fresh") { store, steps in
        steps.begin()
        let state = snapshot(3, size: 40)
        let receipt = try FreshGeneration.write(state, to: store.path(of: 1), events: [event(1)])
        steps.success { $0.generations[0].seal?.receipt == receipt && $0.generations[0].snapshot == state }
    }

    static let replace = Operation("replace") { store, steps in
        _ = try FreshGeneration.write(snapshot(4, size: 8), to: store.path(of: 1))
        steps.begin()
        let state = snapshot(5, size: 24)
        let receipt = try FreshGeneration.write(state, to: store.path(of: 1), replacing: true)
        steps.success { $0.generations[0].seal?.receipt == receipt && $0.generations[0].snapshot == state }
    }

    /// To the third version that only the tests of migrations know, beside the original: which stays what it was.
    static let migrate = Operation("migrate") { store, steps in
        let state = snapshot(4, size: 8)
        let seal = try FreshGeneration.write(state, to: store.path(of: 1), events: [event(1)], nonce: nonce)
        steps.begin()
        let copy = "copy" + StoreLocation.fileEnding
        let outcome = try Migrator.migrate(
            store.path(of: 1), to: "\(store.path)/\(copy)", migrations: MigrationTests.three)
        steps.success {
            $0.newest == 1 && $0.generations[0].seal?.receipt == seal && $0.generations[0].snapshot == state
                && $0.copies[copy]?.version == 3 && $0.copies[copy]?.seal == outcome.newSeal
                && outcome.newSeal?.nonce == nonce
        }
    }
}
