import Snapshot

@testable import Store

/// What an engine does to its generation while devices run, up to the seal, and after a jump.
extension Operation {
    /// One state after another as a pre-copy tells it: what is different from the one before.
    struct Pass: Sendable {
        var state: Snapshot
        var changes: SnapshotChanges

        /// States of different sizes, so that rows come, change and go.
        static func series(_ seed: UInt64, sizes: [Int]) -> [Pass] {
            var told = Snapshot(origin: .engine)
            return sizes.enumerated().map { index, size in
                let state = snapshot(seed + UInt64(index), size: size)
                defer { told = state }
                return Pass(state: state, changes: SnapshotChanges(from: told, to: state))
            }
        }
    }

    /// Made once: to compare two states takes longer than to write them.
    static let firstEngine = Pass.series(20, sizes: [7, 9, 0, 4])
    static let thawedEngine = Pass.series(30, sizes: [5, 2, 4])

    /// All passes but the last one, each a success, then a seal of the last one's changes. Events go on from `first`.
    static func handOver(
        _ passes: [Pass], in writer: inout GenerationWriter, from first: UInt64, _ steps: inout Steps
    ) throws {
        let number = writer.number
        var sequence = first
        for pass in passes.dropLast() {
            let last = sequence
            try writer.precopy(pass.changes, events: [event(last)])
            steps.success {
                $0.generations.last?.number == number && $0.generations.last?.seal == nil && $0.newest != number
                    && $0.generations.last?.snapshot == pass.state
                    && $0.generations.last?.events.last?.sequence == last
            }
            sequence += 1
        }
        let last = sequence
        let state = passes[passes.count - 1].state
        let receipt = try writer.seal(
            passes[passes.count - 1].changes, nonce: nonce, events: [event(last, .phase)])
        steps.success {
            $0.newest == number && $0.generations.last?.seal?.receipt == receipt
                && $0.generations.last?.snapshot == state && $0.generations.last?.events.last?.sequence == last
        }
    }

    static let precopy = Operation("pre-copy") { store, steps in
        var writer = try opened(store, 1..<5)
        steps.begin()
        try handOver(firstEngine, in: &writer, from: 5, &steps)
    }

    /// A seal whose pages do not fit into SQLite's cache: they go into the file before the transaction ends.
    static let spill = Operation("spill", pragmas: ["cache_size": "10"]) { store, steps in
        var writer = try opened(store, 1..<25)
        try writer.precopy(firstEngine[0].changes)
        steps.begin()
        let state = snapshot(2, size: 30)
        let changes = SnapshotChanges(from: firstEngine[0].state, to: state)
        let receipt = try writer.seal(changes, nonce: nonce, events: [event(25, .phase)])
        steps.success {
            $0.newest == 1 && $0.generations[0].seal?.receipt == receipt && $0.generations[0].snapshot == state
                && $0.generations[0].events.count == 25
        }
    }

    /// The jump failed: the next generation revokes the sealed one in its first transaction, which has the events since
    /// then, too, and the engine goes on in it up to a handover of its own.
    static let thaw = Operation("thaw") { store, steps in
        var first = try opened(store, 1..<5)
        let seal = try seal(&first)
        try first.release()
        steps.begin()
        var writer = try store.create()
        steps.success { $0.newest == 1 && $0.generations.count == 2 && $0.generations[1].events.isEmpty }
        try writer.append((6..<9).map { event($0) } + [event(9, .revoke, [.init("generation", 1 as UInt64)])])
        steps.success {
            $0.newest == nil && $0.generations[0].seal?.receipt == seal && $0.generations[1].events.count == 4
        }
        try handOver(thawedEngine, in: &writer, from: 10, &steps)
        try writer.release()
        steps.success { $0.newest == 2 && $0.generations[0].seal?.receipt == seal }
    }

    /// What `restore --record` writes: the next generation, which names the one that it started from, with one
    /// transaction for each step.
    static let restore = Operation("restore") { store, steps in
        var first = try opened(store, 1..<5)
        let receipt = try seal(&first)
        try first.release()
        steps.begin()
        let parent = ParentGeneration(number: 1, root: receipt.root)
        let writer = try store.create(parent: parent)
        steps.success { $0.newest == 1 && $0.generations.last?.parent == parent }
        try append(4, from: 1, to: writer, &steps)
        try writer.append([event(5, .verdict)])
        steps.success { $0.generations[1].events.count == 5 }
    }

    /// As ``restore``, after one that died in the middle of its steps: what that one left stays, and is no seal.
    static let restoreAgain = Operation("restore again") { store, steps in
        var first = try opened(store, 1..<5)
        let receipt = try seal(&first)
        try first.release()
        let parent = ParentGeneration(number: 1, root: receipt.root)
        do {
            let dead = try store.create(parent: parent)
            try dead.append([event(1), event(2)])
        }
        steps.begin()
        let writer = try store.create(parent: parent)
        steps.success { $0.newest == 1 && $0.generations.map(\.number) == [1, 2, 3] }
        try append(3, from: 1, to: writer, &steps)
        try writer.append([event(4, .verdict)])
        steps.success {
            $0.newest == 1 && $0.generations[1].events.count == 2 && $0.generations[2].events.count == 4
                && $0.generations[1].parent == parent && $0.generations[2].parent == parent
        }
    }
}
