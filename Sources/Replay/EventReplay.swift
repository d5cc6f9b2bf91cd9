import Engine
import Handover
import IOMMUModel
import Restore
import Snapshot
import Store

/// An engine that does again what a journal says, and is held against it event by event: every answer, every id given out,
/// every nanosecond of engine time must be the recorded one.
///
/// What comes from outside is taken from the journal: operations, the passing of time, faults that the hardware reported,
/// notes of the handover. DMA is in no journal. What it leaves in memory, accessed and dirty bits, is taken from the state
/// that is arrived at (``arrive(at:nonce:)``); caches are the hardware's, and no operation's answer depends on them.
///
///     var replay = try EventReplay(from: .handedOver(parent, machine, evidence), events: events)
///     try replay.run()
///     try replay.arrive(at: snapshot, nonce: nonce)
public struct EventReplay: ~Copyable {
    private enum State: ~Copyable {
        case live(LiveEngine)
        case frozen(FrozenEngine)
    }

    /// `nil`: the engine ended, or its journal did before it was ready for an operation.
    private var state: State?
    private let events: [Event]
    private let buffer = EventBuffer()
    private let machine: Machine
    /// How many events were done again so far.
    public private(set) var count = 0
    /// The nonce drawn last.
    private var nonce: [UInt8]?

    /// Starts the engine as the first of `events` says, and takes over what it took over. O(start).
    ///
    /// - Throws: ``ReplayError/noStart(_:)`` when the first event is not one that `start` belongs to, or the engine does
    ///   not start; ``ReplayError/diverges(recorded:replayed:)``.
    public init(from start: ReplayStart, events: [Event]) throws(ReplayError) {
        self.events = events
        machine = start.machine
        state = nil
        guard let first = events.first, first.kind == .start else {
            throw .noStart("the journal does not begin with a start")
        }
        let engine = try Self.engine(from: start, first, sink: buffer.append)
        let told = buffer.take()
        try check(told)
        // A journal that ends in here is that of an engine that died while it took over.
        if count == told.count { state = .live(engine) }
    }

    private static func engine(
        from start: ReplayStart, _ first: Event, sink: @escaping EventSink
    ) throws(ReplayError) -> LiveEngine {
        let configuration = EngineConfiguration(
            defaultDomain: try first.value("default") { EngineConfiguration.DefaultDomain(rawValue: $0) },
            seed: try first.value("seed") { parseInteger($0) }, startNanoseconds: first.timeNanoseconds &- 1,
            lastSequence: first.sequence &- 1)
        do {
            switch (start, first.name, first["source"]) {
            case (.idle(let machine), "start", nil):
                return try LiveEngine.start(machine, configuration: configuration, sink: sink)
            case (.running(let snapshot, let machine), "take-over", RestoringEngine.Source.running.rawValue):
                let taken = try RunningState.takeOver(
                    snapshot, machine: machine, configuration: configuration, sink: sink)
                return taken.engine
            case (
                .handedOver(let snapshot, let machine, let evidence), "take-over",
                RestoringEngine.Source.handedOver.rawValue
            ):
                let restored = try Restorer.restore(
                    snapshot, machine: machine, evidence: evidence, configuration: configuration, sink: sink)
                return restored.engine
            default: throw ReplayError.noStart("the engine began with \(first.name) \(first.argumentText)")
            }
        } catch let error as ReplayError {
            throw error
        } catch {
            throw .noStart("the engine does not start: \(error)")
        }
    }

    /// Holds what the engine told against the journal, and goes on behind it; a journal may end in between.
    private mutating func check(_ told: [Event]) throws(ReplayError) {
        for event in told.prefix(events.count - count) {
            guard events[count] == event else { throw .diverges(recorded: events[count], replayed: event) }
            count += 1
        }
    }

    /// Does the rest of the journal again.
    ///
    /// - Throws: ``ReplayError/diverges(recorded:replayed:)``, ``ReplayError/unreadable(_:_:)``.
    public mutating func run() throws(ReplayError) {
        while count < events.count { try step() }
    }

    private mutating func step() throws(ReplayError) {
        let event = events[count]
        switch state.take() {
        case .live(let engine): state = try Self.step(engine, event)
        case .frozen(let frozen): state = try Self.step(frozen, event, &nonce)
        case nil: throw .diverges(recorded: event, replayed: nil)
        }
        let told = buffer.take()
        guard told.count == 1 else { throw .diverges(recorded: event, replayed: told.dropFirst().first) }
        try check(told)
    }

    private static func step(_ live: consuming LiveEngine, _ event: Event) throws(ReplayError) -> State {
        var engine = live
        let lapse = event.timeNanoseconds.subtractingReportingOverflow(engine.timeNanoseconds &+ 1)
        if !lapse.overflow { engine.advanceTime(byNanoseconds: lapse.partialValue) }
        guard event.kind == .phase, event.name == "freeze" else {
            try engine.perform(event)
            return .live(engine)
        }
        switch engine.freeze() {
        case .frozen(let frozen): return .frozen(frozen)
        case .refused(let engine, _): return .live(engine)
        }
    }

    private static func step(
        _ cold: consuming FrozenEngine, _ event: Event, _ nonce: inout [UInt8]?
    ) throws(ReplayError) -> State {
        var frozen = cold
        if event.kind == .phase, event.name == FrozenEngine.nonceEvent {
            nonce = frozen.drawNonce()
            return .frozen(frozen)
        }
        if event.kind == .phase, event.name == "thaw" { return .live(frozen.thaw()) }
        guard event.kind != .operation, event.kind != .start else {
            throw .unreadable(event, "no engine does this while it is frozen")
        }
        frozen.note(event.kind, event.name, event.arguments, errno: event.errno)
        return .frozen(frozen)
    }

    /// Holds the frozen engine against the state that was sealed: nonce, every record, every byte of a table.
    ///
    /// Bits of table entries that the hardware sets by itself (``DomainUnitRecord/Geometry/hardwareUpdatedMask``) are
    /// taken from `recorded`. O(records and table pages).
    ///
    /// - Throws: ``ReplayError/state(_:)``, ``ReplayError/nonce``.
    public mutating func arrive(at recorded: Snapshot, nonce: HandoverNonce?) throws(ReplayError) {
        guard case .frozen(let frozen) = state.take() else { throw .state(["the engine is not frozen"]) }
        guard nonce == nil || nonce?.bytes == self.nonce else { throw .nonce }
        HardwareBits.take(from: recorded, into: machine.memory)
        let parts = frozen.snapshot().differingParts(from: recorded)
        guard parts.isEmpty else { throw .state(parts) }
        state = .frozen(frozen)
    }
}
