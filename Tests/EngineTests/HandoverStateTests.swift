import IOMMUModel
import Testing

@testable import Engine

/// The states of the handover: each exit asked of the engine.
@Suite struct HandoverStateTests {
    private typealias Stage = LifecycleStage
    private static let nobody: UInt32 = 9999

    private static func freeze(_ stage: consuming Stage) -> FreezeOutcome { stage.engine.freeze() }

    @Test(arguments: HandoverState.allCases)
    func `every state of the handover has its answer to every event, and the engine is where the table says`(
        state: HandoverState
    ) throws {
        for event in HandoverEvent.allCases {
            guard let wanted = state.after(event) else { continue }
            guard let found = try Self.handover(event, in: state) else {
                // What no engine is there for is shown by scenarios.
                #expect(Self.outsideEngine.contains(.init(state, event)), "\(state.rawValue) \(event.rawValue)")
                continue
            }
            switch wanted {
            case .failure(let errno): #expect(found == .failure(errno), "\(state.rawValue) \(event.rawValue)")
            case .success(let next):
                // Done and given up, the machine is idle again.
                let same: Set<HandoverState> = [.idle, .done, .aborted]
                let place = try found.get()
                let isSame = place == next || same.isSuperset(of: [place, next])
                #expect(isSame, "\(state.rawValue) \(event.rawValue): \(place.rawValue)")
            }
        }
    }

    struct Exit: Hashable {
        var state: HandoverState
        var event: HandoverEvent
        init(_ state: HandoverState, _ event: HandoverEvent) { (self.state, self.event) = (state, event) }
    }

    /// The record's and the machine's doing (ScenarioTests: `TransitionScenarioTests`, `FailedSealTests`); a restore under way
    /// refuses every claim (`LifecycleTests`).
    static let outsideEngine: Set<Exit> = [
        .init(.frozen, .seal), .init(.frozen, .sealFails), .init(.sealed, .jump), .init(.sealed, .jumpFails),
        .init(.sealed, .powerLoss), .init(.jump, .start), .init(.jump, .recordRefused), .init(.jump, .allAborted),
        .init(.jump, .powerLoss),
        .init(.adopting, .restored), .init(.adopting, .claim),
    ]

    /// Where `event` leads a machine in `state`; `nil` where no engine can be asked.
    private static func handover(
        _ event: HandoverEvent, in state: HandoverState
    ) throws -> Result<HandoverState, Errno>? {
        let place: DomainState
        switch state {
        case .idle, .collecting, .done, .aborted: place = .marked
        case .ready, .frozen: place = .preserved
        case .attached: place = .restored
        case .retrieving: place = event == .settle ? .verified : .adopted
        case .draining: place = .replaced
        case .degraded: place = .orphaned
        case .sealed, .jump, .adopting, .fatal: return nil
        }
        var stage = try Stage.make(place, .vtdSecondStage)
        if state == .collecting { stage.outgoing = try stage.engine.createSession("guests") }
        if state == .done {
            stage = try Stage.make(.replaced, .vtdSecondStage)
            try stage.engine.finish(try unwrapped(stage.incoming))
        }
        if state == .aborted { try stage.engine.closeSession(try stage.engine.createSession("guests")) }
        let before = stage.engine.handoverState
        #expect(before == ([.done, .aborted].contains(state) ? .idle : state == .frozen ? .ready : state))
        if state == .frozen { return frozen(event, stage) }
        do {
            return .success(try after(event, stage))
        } catch let errno as Errno {
            return .failure(errno)
        } catch let refusal as Refusal {
            return .failure(refusal.errno)
        }
    }

    /// Whatever is asked inside the freeze.
    private static func frozen(_ event: HandoverEvent, _ stage: consuming Stage) -> Result<HandoverState, Errno>? {
        let operations: [HandoverEvent: LifecycleOperation] = [
            .preserve: .preserve, .createSession: .preserve, .close: .detach,
        ]
        guard let operation = operations[event], case .frozen(var frozen) = freeze(stage),
            case .refused(let errno) = frozen.attempt(operation, on: Stage.device)
        else { return nil }
        return .failure(errno)
    }

    private static func after(_ event: HandoverEvent, _ stage: consuming Stage) throws -> HandoverState {
        let session = stage.incoming ?? stage.outgoing ?? SessionID(nobody)
        switch event {
        case .createSession: _ = try stage.engine.createSession("another")
        case .preserve:
            let isThere = stage.outgoing != nil
            let device =
                stage.engine.domainState(Stage.device) == .preserved ? TestMachine.rid("00:04.0") : Stage.device
            if device != Stage.device {
                let (_, hwpt) = try stage.engine.space(stage.flavour)
                try stage.engine.mark(hwpt, token: 99)
                try stage.engine.own(device, on: hwpt)
            }
            try stage.engine.preserve(device, in: isThere ? session : try stage.engine.createSession("next"))
        case .close: try stage.engine.closeSession(session)
        case .freeze: if case .frozen = freeze(stage) { return .frozen } else { return .fatal }
        case .freezeRefused:
            try stage.engine.setInterrupts(true, of: Stage.device)
            guard case .refused(var engine, _) = freeze(stage) else { return .fatal }
            try engine.setInterrupts(false, of: Stage.device)
            return engine.handoverState
        case .claim: try stage.engine.claim(Stage.device, session: session)
        case .abandon: try stage.engine.abandon(session)
        case .settle: try stage.engine.replace(Stage.device, with: try unwrapped(stage.own))
        case .finish: try stage.engine.finish(session)
        case .discard: try stage.engine.discard(Stage.device)
        case .seal, .sealFails, .jump, .jumpFails, .powerLoss, .start, .recordRefused, .allAborted, .restored:
            return .fatal
        }
        #expect(stage.engine.checkInvariants() == [])
        return stage.engine.handoverState
    }
}
