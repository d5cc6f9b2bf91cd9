import Engine
import Handover
import IOMMUModel
import Restore
import Snapshot
import Testing

@testable import Scenario

/// Devices of several sessions come back in their own.
@Suite("Several sessions")
struct SeveralSessionsTests {
    private static let devices = (1...2).map { RequesterID(bus: 0, device: $0, function: 0)! }

    /// Two devices with a domain each, frozen in a session each, and the machine after the jump.
    private func sealed() throws -> (Snapshot, Machine) {
        let machine = try RecorderTests.machine([.secondStage])
        var engine = try LiveEngine.start(machine) { _ in }
        for (number, device) in Self.devices.enumerated() {
            let hwpt = try engine.createHWPT(ioas: try engine.createIOAS(), unit: UnitID(1))
            let group = try #require(machine.device(device)?.group)
            try engine.claimOwner(group, token: 7)
            try engine.attach(device, to: hwpt)
            try engine.mark(hwpt, token: UInt64(number + 1))
        }
        let sessions = [try engine.createSession("one"), try engine.createSession("two")]
        for (device, session) in zip(Self.devices, sessions) { try engine.preserve(device, in: session) }
        guard case .frozen(let frozen) = engine.freeze() else { throw Errno.EBUSY }
        let snapshot = frozen.snapshot()
        return (snapshot, frozen.jump())
    }

    @Test("Each device, and the token of its HWPT, belong to the session that they were preserved in")
    func ownSessions() throws {
        let (snapshot, machine) = try sealed()
        var restored = try Restorer.restore(snapshot, machine: machine, configuration: .init()) { _ in }
        let sessions = restored.sessions
        #expect(sessions.count == 2)
        for (number, device) in Self.devices.enumerated() {
            let (own, other) = (sessions[number], sessions[1 - number])
            let token = UInt64(number + 1)
            #expect(throws: Errno.EBUSY) { try restored.engine.claim(device, session: other) }
            try restored.engine.claim(device, session: own)
            #expect(throws: Errno.ENOENT) { try restored.engine.adoptHWPT(token: token, session: other) }
            _ = try restored.engine.adoptHWPT(token: token, session: own)
        }
        // One agent that knows all of both.
        let domains = restored.domains
        var again = Claimer(snapshot, sessions: sessions, attached: domains, devices: Set(Self.devices))
        let claimed = try again.claim(&restored.engine)
        #expect(claimed == 2)
    }

    @Test("A device in a session that the record has not is quarantined, the other one goes on")
    func unknownSession() throws {
        var (snapshot, machine) = try sealed()
        let row = try #require(snapshot.engineState.firstIndex { $0.name == "sessions" })
        // The last byte of the first device's.
        #expect(snapshot.engineState[row].bytes.count == 20)
        snapshot.engineState[row].bytes[9] ^= 0x40
        let restored = try Restorer.restore(snapshot, machine: machine, configuration: .init()) { _ in }
        let lines = restored.devices.filter { Self.devices.contains($0.requester) }
        #expect(lines.map(\.requester) == Self.devices)
        #expect(lines.map(\.state) == [.quarantined, .restored])
        #expect(lines[0].rule == .referenceUnresolved)
    }
}
