import IOMMUModel
import Snapshot
import Synchronization

@testable import Store

/// Something that the store does to a directory, in steps of which each is durable once it has told its success.
struct Operation: Sendable, CustomStringConvertible {
    /// What an operation tells while it runs.
    struct Steps {
        let recorder: CallRecorder
        /// What each success promises of the directory, from then on.
        var promises: [(StoreView) -> Bool] = []

        /// What was prepared is there; from here on counts.
        func begin() { recorder.begin() }

        /// A step succeeded; `promise` holds for what is on the medium now.
        mutating func success(_ promise: @escaping (StoreView) -> Bool) {
            recorder.success()
            promises.append(promise)
        }
    }

    let name: String
    /// What is said to SQLite instead of the store's own, to bring about what a large host does.
    let pragmas: [String: String]
    let run: @Sendable (_ store: StoreLocation, _ steps: inout Steps) throws -> Void
    var description: String { name }

    init(
        _ name: String, pragmas: [String: String] = [:],
        _ run: @escaping @Sendable (StoreLocation, inout Steps) throws -> Void
    ) {
        self.name = name
        self.pragmas = pragmas
        self.run = run
    }

    static let nonce = HandoverNonce(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210)

    static func event(
        _ sequence: UInt64, _ kind: Event.Kind = .operation, _ arguments: [Event.Argument] = []
    ) -> Event {
        let place = Event.Argument("iova", "0x\(String(sequence &* 0x1_2345_6789, radix: 16))")
        return Event(
            sequence: sequence, timeNanoseconds: sequence &* 1000, kind: kind, name: "map",
            arguments: [place] + arguments)
    }

    /// Made once: operations run thousands of times.
    static func snapshot(_ seed: UInt64, size: Int) -> Snapshot {
        let key = [Int(seed), size]
        if let known = snapshots.withLock({ $0[key] }) { return known }
        let snapshot = SnapshotMaker(seed: seed).make(size: size)
        snapshots.withLock { $0[key] = snapshot }
        return snapshot
    }

    private static let snapshots = Mutex<[[Int]: Snapshot]>([:])

    /// Creates generation 1 with `events`.
    static func opened(_ store: StoreLocation, _ events: Range<UInt64>) throws -> GenerationWriter {
        let writer = try store.create(number: 1)
        try writer.append(events.map { event($0) })
        return writer
    }

    static func seal(_ writer: inout GenerationWriter) throws -> SealReceipt {
        try writer.seal(snapshot(1, size: 3), nonce: nonce, events: [event(5, .phase)])
    }

    /// Appends in several transactions, each a success of its own.
    static func append(
        _ count: UInt64, from first: UInt64, to writer: borrowing GenerationWriter, _ steps: inout Steps
    ) throws {
        for index in 0..<count {
            let last = first + index
            try writer.append([event(last)])
            steps.success { $0.generations.last?.events.last?.sequence == last }
        }
    }

    /// Every operation; one more is one more line.
    ///
    /// | what a program does | operations |
    /// |---|---|
    /// | opens a generation, records events in it | create, append |
    /// | pre-copy, and a seal of the rest | pre-copy |
    /// | seal and release | seal, spill, release, life |
    /// | thaw, after a seal or a jump that failed | revoke, thaw |
    /// | `restore --record` | restore, restore again |
    /// | `migrate` | migrate |
    /// | `import`, also with `--force` | fresh, replace |
    /// | `extract` | none: there is no such verb. One would write as fresh does |
    static let all: [Operation] = [
        create, append, precopy, seal, spill, release, life, revoke, thaw, restore, restoreAgain, migrate, fresh,
        replace,
    ]

    static let create = Operation("create") { store, steps in
        steps.begin()
        let writer = try store.create(number: 1)
        steps.success { $0.generations.map(\.number) == [1] && $0.generations[0].seal == nil }
        _ = consume writer
    }

    static let append = Operation("append") { store, steps in
        let writer = try opened(store, 1..<25)
        steps.begin()
        try append(6, from: 25, to: writer, &steps)
        try writer.append((31..<131).map { event($0) })
        steps.success { $0.generations[0].events.count == 130 }
    }

    static let seal = Operation("seal") { store, steps in
        var writer = try opened(store, 1..<25)
        steps.begin()
        let state = snapshot(2, size: 60)
        let receipt = try writer.seal(state, nonce: nonce, events: [event(25, .phase)])
        steps.success {
            $0.newest == 1 && $0.generations[0].seal?.receipt == receipt && $0.generations[0].snapshot == state
                && $0.generations[0].events.count == 25
        }
    }

    static let release = Operation("release") { store, steps in
        var writer = try opened(store, 1..<5)
        let receipt = try seal(&writer)
        steps.begin()
        try writer.release()
        steps.success { $0.newest == 1 && $0.generations[0].seal?.receipt == receipt }
    }

    /// The handover failed after its seal: the next generation says that it does not count.
    static let revoke = Operation("revoke") { store, steps in
        var first = try opened(store, 1..<5)
        _ = try seal(&first)
        steps.begin()
        let writer = try store.create()
        steps.success { $0.newest == 1 && $0.generations.count == 2 }
        try writer.append((5..<9).map { event($0) } + [event(9, .revoke, [.init("generation", 1 as UInt64)])])
        steps.success { $0.newest == nil && $0.generations[1].events.count == 5 }
        try append(2, from: 10, to: writer, &steps)
    }

    /// A generation from its creation to its release.
    static let life = Operation("life") { store, steps in
        steps.begin()
        var writer = try store.create(number: 1)
        steps.success { $0.generations.count == 1 }
        try append(6, from: 1, to: writer, &steps)
        let receipt = try writer.seal(snapshot(6, size: 16), nonce: nonce, events: [event(7, .phase)])
        steps.success { $0.generations[0].seal?.receipt == receipt }
        try writer.release()
        steps.success { $0.newest == 1 }
    }
}
