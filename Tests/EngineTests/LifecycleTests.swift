import IOMMUModel
import Testing

@testable import Engine

/// The operation × state matrix, asked of the engine cell by cell.
@Suite struct LifecycleTests {
    /// States that a running engine can have a device in.
    private static let running = DomainState.allCases.filter { ![.frozen, .inFlight, .staged, .fatal].contains($0) }

    @Test(arguments: running, UnitFlavour.tagged)
    func `every operation is answered as the matrix says, and what is refused changes nothing`(
        state: DomainState, flavour: UnitFlavour
    ) throws {
        for operation in LifecycleOperation.allCases {
            var stage = try LifecycleStage.make(state, flavour)
            let before = stage.engine.domainState(LifecycleStage.device)
            #expect(before == (state == .reverted ? .marked : state))
            let reached = stage.reaches
            #expect(reached != [.released, .quarantined].contains(state))
            let attachment = try unwrapped(stage.engine.attachment(LifecycleStage.device))

            let answer = try stage.answer(operation)
            #expect(answer == Lifecycle.answer(operation, state), "\(operation.rawValue) in \(state.rawValue)")
            #expect(stage.engine.checkInvariants() == [])
            if answer != .allowed {
                let after = stage.engine.attachment(LifecycleStage.device)
                #expect(after == attachment && stage.reaches == reached, "\(operation.rawValue) in \(state.rawValue)")
            }
        }
    }

    @Test(arguments: UnitFlavour.tagged)
    func `a frozen engine and one that still restores do nothing and say why`(flavour: UnitFlavour) throws {
        let stage = try LifecycleStage.make(.preserved, flavour)
        let machine = stage.engine.machine
        let record = try LifecycleStage.Record(stage.engine)
        guard case .frozen(var frozen) = stage.engine.freeze() else {
            Issue.record("the freeze was refused")
            return
        }
        for operation in LifecycleOperation.allCases {
            let answer = frozen.attempt(operation, on: LifecycleStage.device)
            #expect(answer == Lifecycle.answer(operation, .frozen))
            guard case .refused = answer else {
                Issue.record("\(operation) is not refused")
                continue
            }
        }
        #expect(frozen.preserved.map(\.requester) == [LifecycleStage.device])
        _ = frozen.jump()
        // No engine is there to be asked.
        for operation in LifecycleOperation.allCases {
            #expect(Lifecycle.answer(operation, .inFlight) == .unasked)
            #expect(Lifecycle.answer(operation, .fatal) == .unasked)
        }
        let books = try LifecycleStage.staged(machine, record)
        for operation in LifecycleOperation.allCases {
            let answer = books.attempt(operation, on: LifecycleStage.device)
            #expect(answer == Lifecycle.answer(operation, .staged) && answer != .allowed && answer != .unasked)
        }
        #expect(
            machine.dma(LifecycleStage.device, iova: IOVA(0x1008), access: .write)
                == .address(
                    PhysicalAddress(LifecycleStage.file.rawValue + 0x4008)))
    }
}
