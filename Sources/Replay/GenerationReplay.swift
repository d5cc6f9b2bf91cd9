import Engine
import IOMMUModel
import Restore
import Snapshot
import Store
import Validate

/// One generation of a store done again: from the parent that its engine was restored from, or from what the caller says
/// that the first engine started on.
public enum GenerationReplay {
    /// What a replay came to. Whatever is not the same is an error instead.
    public struct Outcome: Sendable, Hashable {
        /// The generations whose events were done again one after the other: an engine that thawed goes on in the next.
        public var generations: [UInt64]
        /// How many events.
        public var events: Int
        /// The generation is sealed, and the replayed engine has the same state: every record and table page.
        public var isSealed: Bool
    }

    /// Replays generation `number` of a store. `start` is asked for a generation without a parent only: the state of its
    /// first engine is in no file.
    ///
    /// Engines that died between the parent and this generation are replayed before it, as far as their journals go: what
    /// they did to memory is where this one began. O(parent + events + records).
    ///
    /// - Throws: ``ReplayError``; what a dead engine did behind its last durable event is found as a divergence.
    public static func run(
        _ number: UInt64, in location: StoreLocation, start: (GenerationHeader) throws(ReplayError) -> ReplayStart
    ) throws(ReplayError) -> Outcome {
        let (generations, events, header) = try journal(endingAt: number, in: location)
        let begin: ReplayStart
        if let parent = header.parent {
            begin = try restored(from: parent, before: header.number, in: location)
        } else {
            begin = try start(header)
        }
        var replay = try EventReplay(from: begin, events: events)
        try replay.run()
        let (seal, found) = try read(number, in: location) { ($0.seal, $0.seal == nil ? nil : $0.snapshotAndDefects()) }
        if let seal, let found {
            guard found.1.isEmpty, let snapshot = found.0 else { throw .noStart("generation \(number) is damaged") }
            try replay.arrive(at: snapshot, nonce: seal.nonce)
        }
        return Outcome(generations: generations, events: events.count, isSealed: seal != nil)
    }

    /// The events of the engine that wrote generation `number`, from its start: those of the generations before it too where
    /// it thawed and went on. The header is that of the generation in which it started.
    private static func journal(
        endingAt number: UInt64, in location: StoreLocation
    ) throws(ReplayError) -> (generations: [UInt64], events: [Event], header: GenerationHeader) {
        var generations: [UInt64] = []
        var events: [Event] = []
        var next = number
        while true {
            let (header, found) = try read(next, in: location) { reader throws(StoreError) in
                (reader.header, try reader.events())
            }
            generations.insert(next, at: 0)
            // The events of a failed seal stand in the next generation, and perhaps in the failed one as well.
            let known = events.first?.sequence ?? .max
            events.insert(contentsOf: found.filter { $0.sequence < known }, at: 0)
            if events.first?.kind == .start { return (generations, events, header) }
            guard next > 1, try numbers(in: location).contains(next - 1) else {
                throw .noStart("generation \(next) begins in the middle, and the one before is not there")
            }
            next -= 1
        }
    }

    /// The state that engines restored from `parent` begin with: as it was sealed, then changed by those that died before
    /// generation `number`.
    private static func restored(
        from parent: ParentGeneration, before number: UInt64, in location: StoreLocation
    ) throws(ReplayError) -> ReplayStart {
        let checked: ManifestChecked
        do {
            checked = try ManifestChecked.check(path: location.path(of: parent.number), memory: .noMemory)
        } catch {
            throw .noStart("generation \(parent.number): \(error.message)")
        }
        guard checked.seal.root == parent.root else {
            throw .noStart("generation \(parent.number) is not the one that was restored: its root differs")
        }
        let snapshot = checked.snapshot
        let machine = try ReplayStart.machine(of: snapshot)
        machine.setNonce(checked.seal.nonce?.bytes)
        var announced: [Event] = []
        for earlier in try numbers(in: location) where earlier > parent.number && earlier < number {
            // As the restore did: what cannot be read, or is empty, told it nothing.
            guard let reader = try? GenerationReader(path: location.path(of: earlier)),
                reader.header.parent == parent, let events = try? reader.events(), !events.isEmpty
            else { continue }
            var dead = try EventReplay(
                from: .handedOver(snapshot, machine, ReplaceEvidence(announced)), events: events)
            try dead.run()
            announced += events
        }
        return .handedOver(snapshot, machine, ReplaceEvidence(announced))
    }

    private static func read<R>(
        _ number: UInt64, in location: StoreLocation, _ body: (borrowing GenerationReader) throws(StoreError) -> R
    ) throws(ReplayError) -> R {
        do {
            return try body(try GenerationReader(path: location.path(of: number)))
        } catch {
            throw .store(error)
        }
    }

    private static func numbers(in location: StoreLocation) throws(ReplayError) -> [UInt64] {
        do { return try location.numbers() } catch { throw .store(error) }
    }
}
