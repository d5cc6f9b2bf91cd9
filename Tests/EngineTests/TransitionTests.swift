import IOMMUModel
import Testing

@testable import Engine

/// The rows of the transition table, and every guard of the engine's own with its error number.
@Suite struct TransitionTests {
    private typealias Stage = LifecycleStage

    /// Rows that need a sealed record; ScenarioTests shows them.
    static let ofRecord: Set<DomainTransition> = [.commit, .stage, .coldBoot, .stop]

    @Test(arguments: DomainTransition.allCases.filter { !ofRecord.contains($0) }, UnitFlavour.tagged)
    func `every transition leads from each of its states to where the table says`(
        row: DomainTransition, flavour: UnitFlavour
    ) throws {
        for state in row.from {
            let found = try Self.run(row, from: state, flavour)
            #expect(found == row.to, "\(row.rawValue) from \(state.rawValue)")
        }
    }

    /// Does what `row` says to a device in `state`; where that leads.
    private static func run(
        _ row: DomainTransition, from state: DomainState, _ flavour: UnitFlavour
    ) throws -> DomainState? {
        let device = Stage.device
        switch (row, state) {
        case (.restore, _), (.quarantine, .staged):
            let stage = try Stage.make(.preserved, flavour)
            let record = try Stage.Record(stage.engine)
            let machine = try Self.jump(stage)
            var books = try Stage.staged(machine, record)
            let session = try books.addSession("guests")
            let domain = try Self.adopt(&books, record, session)
            if row == .restore {
                try books.attachRestored(
                    device, domain: domain, session: session, entryAddress: record.attachment.entryAddress,
                    space: record.attachment.space)
            } else {
                try books.quarantine(device, holding: [nil: domain], session: session)
            }
            return try books.start().domainState(device)
        case (.freeze, _), (.thaw, _), (.nextUpdate, _):
            let stage = try Stage.make(state == .frozen ? .preserved : state, flavour)
            let reached = stage.reaches
            #expect(reached)
            let machine = stage.engine.machine
            guard case .frozen(let frozen) = Self.freeze(stage) else { return nil }
            #expect(Self.reaches(machine) == (row != .nextUpdate))
            if row == .freeze { return frozen.preserved.map(\.requester) == [device] ? .frozen : nil }
            if row == .nextUpdate { return frozen.preserved.isEmpty ? nil : .frozen }
            let engine = frozen.thaw()
            return engine.domainState(device)
        default:
            var stage = try Stage.make(row == .reclaim ? .restored : state, flavour)
            if row == .reclaim { try stage.engine.abandon(try unwrapped(stage.incoming)) }
            let before = stage.engine.domainState(device)
            #expect(before == state)
            try Self.perform(row, &stage)
            #expect(stage.engine.checkInvariants() == [])
            let after = stage.engine.domainState(device)
            // What was reverted is as it was before.
            return row == .revert && after == .marked ? .reverted : after
        }
    }

    private static func perform(_ row: DomainTransition, _ stage: inout Stage) throws {
        let device = Stage.device
        let session = stage.incoming ?? SessionID(0)
        switch row {
        case .mark: try stage.engine.mark(stage.hwpt, token: Stage.token)
        case .preserve:
            let outgoing = try stage.engine.createSession("s")
            try stage.engine.preserve(device, in: outgoing)
        case .revert: try stage.engine.closeSession(try unwrapped(stage.outgoing))
        case .quarantine: try stage.engine.quarantine(device)
        case .claim, .reclaim: try stage.engine.claim(device, session: session)
        case .adopt: _ = try stage.engine.adoptHWPT(token: Stage.token, session: session)
        case .rebuild: try stage.rebuild()
        case .verify: try stage.engine.verify(device, with: try unwrapped(stage.own))
        case .replace: try stage.engine.replace(device, with: try unwrapped(stage.own))
        case .release: try stage.engine.release(device)
        case .finish: try stage.engine.finish(session)
        case .abandon: try stage.engine.abandon(session)
        case .discard: try stage.engine.discard(device)
        case .restore, .freeze, .thaw, .nextUpdate, .commit, .stage, .coldBoot, .stop: Issue.record("\(row.rawValue)")
        }
    }

    private static func adopt(
        _ books: inout RestoringEngine, _ record: Stage.Record, _ session: SessionID
    ) throws -> DomainID {
        try books.adoptDomain(
            kind: .paging, geometry: record.geometry, on: TestMachine.unit, cacheTags: record.tags,
            token: Stage.token, session: session)
    }

    private static func freeze(_ stage: consuming Stage) -> FreezeOutcome { stage.engine.freeze() }

    private static func jump(_ stage: consuming Stage) throws -> Machine {
        guard case .frozen(let frozen) = freeze(stage) else { throw Errno.EIO }
        return frozen.jump()
    }

    private static func reaches(_ machine: Machine) -> Bool {
        machine.dma(Stage.device, iova: IOVA(0x1008), access: .write)
            == .address(PhysicalAddress(Stage.file.rawValue + 0x4008))
    }

    // MARK: Guards

    @Test(arguments: DomainTransition.allCases)
    func `every guard of the engine's refuses with its errno, and nothing has changed`(row: DomainTransition) throws {
        let cases = Self.guards[row, default: [:]]
        let wanted = row.guards.filter { !$0.isOutsideEngine }
        #expect(Set(cases.keys) == Set(wanted.map(\.what)), "cases of \(row.rawValue)")
        for one in wanted {
            let answer = try cases[one.what]?(.vtdSecondStage)
            #expect(answer == one.errno, "\(row.rawValue): \(one.what)")
        }
    }

    /// What the engine answers to `body` on a stage in `state`; its books and the device's DMA are as before.
    private static func answer(
        _ state: DomainState, _ body: @escaping (inout Stage) throws -> Void
    ) -> (UnitFlavour) throws -> Errno? {
        { flavour in
            var stage = try Stage.make(state, flavour)
            let reached = stage.reaches
            do {
                try body(&stage)
                return nil
            } catch let error as Errno {
                #expect(stage.engine.checkInvariants() == [] && stage.reaches == reached)
                return error
            } catch let refusal as Refusal {
                #expect(stage.engine.checkInvariants() == [] && stage.reaches == reached)
                return refusal.errno
            }
        }
    }

    /// As above, with the device's traits changed before the first engine starts.
    private static func preserving(
        _ change: @escaping (inout LiveEngine, HWPTID, SessionID) throws -> Void,
        device edit: @escaping (inout MachineDevice) -> Void = { _ in }
    ) -> (UnitFlavour) throws -> Errno? {
        { flavour in
            var devices = TestMachine.devices
            for index in devices.indices { devices[index].pasidBits = 20 }
            edit(&devices[0])
            var engine = try LiveEngine.start(
                try TestMachine.make(devices: devices, units: [flavour.description()])
            ) { _ in }
            let (_, hwpt) = try engine.space(flavour)
            try engine.mark(hwpt, token: 5)
            let session = try engine.createSession("s")
            try change(&engine, hwpt, session)
            let before = engine.attachment(Stage.device)
            do throws(Refusal) {
                try engine.preserve(Stage.device, in: session)
                return nil
            } catch {
                let after = engine.attachment(Stage.device)
                #expect(after == before && engine.checkInvariants() == [])
                return error.errno
            }
        }
    }

    private static func attach(_ engine: inout LiveEngine, _ hwpt: HWPTID, _ session: SessionID) throws {
        try engine.own(Stage.device, on: hwpt)
    }

    /// An area of the HWPT's IOAS over `file`.
    private static func map(_ file: BackingID, _ engine: inout LiveEngine, _ hwpt: HWPTID) throws {
        let ioas = try unwrapped(engine.hwpt(hwpt)?.ioas)
        try engine.map(ioas: ioas, iova: IOVA(0x1000), byteCount: 4096, backing: file, protection: .readWrite)
    }

    private static func freezing(
        _ change: @escaping (inout Stage) throws -> Void
    ) -> (UnitFlavour) throws -> Errno? {
        { flavour in
            var stage = try Stage.make(.preserved, flavour)
            try change(&stage)
            guard case .refused(let engine, let refusal) = freeze(stage) else { return nil }
            let state = engine.domainState(Stage.device)
            #expect(state == .preserved)
            return refusal.errno
        }
    }

    private static let nobody: UInt32 = 9999

    private static var guards: [DomainTransition: [String: (UnitFlavour) throws -> Errno?]] {
        [
            .mark: [
                "no such HWPT": answer(.live) { try $0.engine.mark(HWPTID(nobody), token: 1) },
                "the token is another HWPT's": answer(.live) {
                    let other = try $0.engine.space($0.flavour).hwpt
                    try $0.engine.mark(other, token: 7)
                    try $0.engine.mark($0.hwpt, token: 7)
                },
                "it is preserved, or adopted": answer(.preserved) { try $0.engine.mark($0.hwpt, token: 7) },
            ],
            .preserve: [
                "no such session": answer(.marked) { try $0.engine.preserve(Stage.device, in: SessionID(nobody)) },
                "the session came over": answer(.replaced) {
                    try $0.engine.preserve(Stage.device, in: try unwrapped($0.incoming))
                },
                "no PCI function": preserving({ _, _, _ in }, device: { $0.hasFunction = false }),
                "ATS or PRI is on": preserving(attach, device: { $0.atsEnabled = true }),
                "a group of several": preserving(attach, device: { $0.group = GroupID(4) }),
                "the DMA owner is not claimed": preserving { _, _, _ in },
                "it is preserved": answer(.preserved) {
                    try $0.engine.preserve(Stage.device, in: try unwrapped($0.outgoing))
                },
                "its HWPT is not marked": preserving { engine, hwpt, session in
                    try attach(&engine, hwpt, session)
                    try engine.unmark(hwpt)
                },
                "an area is in no memory file": preserving { engine, hwpt, session in
                    try attach(&engine, hwpt, session)
                    try map(try engine.addBacking(.physical, sealed: false), &engine, hwpt)
                },
                "a memory file is not sealed": preserving { engine, hwpt, session in
                    try attach(&engine, hwpt, session)
                    let file = try engine.addBacking(.memfd, base: Stage.file, byteCount: 4096, sealed: false)
                    try map(file, &engine, hwpt)
                },
                "a memory file is in another session": preserving { engine, hwpt, session in
                    try attach(&engine, hwpt, session)
                    let file = try engine.addBacking(.memfd, base: Stage.file, byteCount: 4096)
                    try map(file, &engine, hwpt)
                    let other = try engine.createSession("other")
                    try engine.preserveFile(file, in: other)
                },
                "a PASID's domain cannot be carried": preserving { engine, hwpt, session in
                    try attach(&engine, hwpt, session)
                    let ioas = try engine.createIOAS()
                    let unmarked = try engine.createHWPT(ioas: ioas, unit: TestMachine.unit)
                    try engine.attach(Stage.device, pasid: PASID(3)!, to: unmarked)
                },
            ],
            .revert: ["it is not preserved": answer(.marked) { try $0.engine.unpreserve(Stage.device) }],
            .freeze: [
                "the device sleeps": freezing { try $0.engine.setPower(false, of: Stage.device) },
                "its interrupts are on": freezing { try $0.engine.setInterrupts(true, of: Stage.device) },
                "its IOAS is mutable": freezing { $0.engine.ioasTable[$0.ioas]!.preservedCount = 0 },
                "its group has grown": freezing {
                    $0.engine.groupTable[Stage.group] = Group(
                        id: Stage.group, members: [Stage.device, TestMachine.rid("00:04.0")])
                },
            ],
            .quarantine: [
                "it must not be blocked": { flavour in
                    let region = ReservedRegion(
                        group: Stage.group, kind: .direct, range: IOVARange(first: IOVA(0x1000), bytes: 0x1000)!)
                    var engine = try LiveEngine.start(try TestMachine.make(reserved: [region])) { _ in }
                    return refusal { () throws(Refusal) in try engine.quarantine(Stage.device) }?.errno
                }
            ],
            .claim: [
                "no such session": answer(.restored) {
                    try $0.engine.claim(Stage.device, session: SessionID(nobody))
                },
                "it came in another session": answer(.restored) { try $0.claimElsewhere() },
            ],
            .adopt: [
                "unknown token": answer(.claimed) { try $0.adopt(77) },
                "it is adopted": answer(.adopted) { try $0.adopt(Stage.token) },
                "no device of it is claimed": answer(.restored) { try $0.adopt(Stage.token) },
            ],
            .rebuild: [
                "an area is there": answer(.adopted) {
                    try $0.rebuild()
                    let file = try $0.engine.addBacking(.memfd, base: Stage.file, byteCount: 1 << 20)
                    let ioas = try unwrapped($0.engine.hwpt(try unwrapped($0.own))?.ioas)
                    try $0.engine.map(
                        ioas: ioas, iova: IOVA(0x1000), byteCount: 4096, backing: file, protection: .readWrite)
                }
            ],
            .verify: [
                "it is not adopted": answer(.claimed) {
                    try $0.rebuild()
                    try $0.engine.verify(Stage.device, with: try unwrapped($0.own))
                }
            ],
            .replace: [
                "it is not compared": answer(.rebuilding) {
                    try $0.engine.replace(Stage.device, with: try unwrapped($0.own))
                },
                "it is not adopted": answer(.claimed) {
                    try $0.rebuild()
                    try $0.engine.replace(Stage.device, with: try unwrapped($0.own))
                },
            ],
            .release: [
                "there is no reset": answer(.claimed) {
                    $0.engine.machine.change(Stage.device) { $0.canReset = false }
                    try $0.engine.release(Stage.device)
                },
                "nothing is inherited": answer(.marked) { try $0.engine.release(Stage.device) },
            ],
            .finish: [
                "a device is not settled": answer(.verified) { try $0.engine.finish(try unwrapped($0.incoming)) }
            ],
            .abandon: [
                "an outgoing session": answer(.preserved) { try $0.engine.abandon(try unwrapped($0.outgoing)) }
            ],
            .reclaim: ["it came in another session": answer(.orphaned) { try $0.claimElsewhere() }],
            .discard: [
                "it is claimed": answer(.claimed) { try $0.engine.discard(Stage.device) },
                "there is no reset": answer(.orphaned) {
                    $0.engine.machine.change(Stage.device) { $0.canReset = false }
                    try $0.engine.discard(Stage.device)
                },
            ],
            .nextUpdate: [
                "it is preserved without having been claimed": answer(.orphaned) {
                    try $0.engine.preserve(Stage.device, in: try $0.engine.createSession("next"))
                }
            ],
            .restore: [
                "its root table is not in memory": { flavour in
                    let stage = try Stage.make(.preserved, flavour)
                    var record = try Stage.Record(stage.engine)
                    let machine = try jump(stage)
                    record.geometry.root = PhysicalAddress(0x7_0000_0000)
                    var books = try Stage.staged(machine, record)
                    let session = try books.addSession("guests")
                    do {
                        _ = try adopt(&books, record, session)
                        return nil
                    } catch let refusal as Refusal {
                        return refusal.errno
                    }
                }
            ],
        ]
    }
}
