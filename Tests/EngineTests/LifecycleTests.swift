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
            // A device file has to be opened anew after a reboot that failed (live-update.md 3.4).
            let isLost = [.open, .openOutside, .resetFunction, .resetBus].contains(operation)
            #expect(answer == .refused(isLost ? .EIO : .EBUSY), "\(operation)")
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
            // No object of iommufd is there yet; a probe waits; all else is somebody else's.
            let expected: LifecycleAnswer =
                switch operation {
                case .map, .mark, .unmark, .destroyHWPT, .dirtyTracking: .refused(.ENOENT)
                case .bindDriver: .deferred
                default: .refused(.EBUSY)
                }
            #expect(answer == expected, "\(operation)")
        }
        #expect(
            machine.dma(LifecycleStage.device, iova: IOVA(0x1008), access: .write)
                == .address(
                    PhysicalAddress(LifecycleStage.file.rawValue + 0x4008)))
    }

    @Test(arguments: UnitFlavour.tagged)
    func `a device file that came over is an ordinary one once its session is finished`(flavour: UnitFlavour) throws {
        var stage = try LifecycleStage.make(.replaced, flavour)
        let device = LifecycleStage.device
        try stage.engine.finish(try unwrapped(stage.incoming))
        let state = stage.engine.domainState(device)
        #expect(state == .live && stage.reaches)
        #expect(errno { () throws(Errno) in try stage.engine.open(device) } == .EBUSY)
        try stage.engine.close(device)
        let isOff = !stage.reaches
        #expect(isOff)
        #expect(errno { () throws(Errno) in try stage.engine.close(device) } == .ENOENT)
        let opening = try stage.engine.open(device)
        #expect(opening == .started)
        #expect(stage.engine.checkInvariants() == [])
    }

    @Test(arguments: UnitFlavour.tagged)
    func `who comes after an agent that died finds what that one adopted, and compares again`(flavour: UnitFlavour)
        throws
    {
        var stage = try LifecycleStage.make(.verified, flavour)
        let (device, session) = (LifecycleStage.device, try unwrapped(stage.incoming))
        let own = try unwrapped(stage.own)
        try stage.engine.abandon(session)
        let state = stage.engine.domainState(device)
        #expect(state == .orphaned && stage.reaches)
        #expect(errno { () throws(Errno) in try stage.engine.close(device) } == .ENOENT)
        try stage.engine.claim(device, session: session)
        #expect(stage.engine.domainState(device) == .rebuilding)
        #expect(errno { () throws(Errno) in try stage.engine.replace(device, with: own) } == .EINVAL)
        try stage.engine.verify(device, with: own)
        try stage.engine.replace(device, with: own)
        try stage.engine.finish(session)
        #expect(stage.reaches && stage.engine.checkInvariants() == [])
    }

    @Test func `a compare is gone with the tables that were compared`() throws {
        var stage = try LifecycleStage.make(.verified, .vtdSecondStage)
        try stage.engine.destroyHWPT(try unwrapped(stage.own))
        let state = stage.engine.domainState(LifecycleStage.device)
        #expect(state == .adopted)
    }
}
