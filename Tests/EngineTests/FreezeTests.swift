import Glibc
import Hardware
import IOMMUModel
import PageTables
import Testing

@testable import Engine

@Suite struct FreezeTests {
    private let one = TestMachine.rid("00:03.0")
    private let two = TestMachine.rid("00:04.0")

    /// 00:03.0 preserved, 00:04.0 on the same domain but not preserved, the rest pass-through.
    private func start(
        _ log: EventLog = EventLog(), reserved: [ReservedRegion] = [], accessedDirty: Bool = false
    ) throws -> LiveEngine {
        var engine = try LiveEngine.start(
            try TestMachine.make(
                reserved: reserved, units: [TestMachine.unitDescription(accessedDirty: accessedDirty)]),
            configuration: .init(defaultDomain: .identity), sink: log.sink)
        let (ioas, hwpt) = try engine.space()
        try engine.own(one, on: hwpt)
        try engine.own(two, on: hwpt)
        let backing = try engine.addBacking(.physical)
        try engine.map(
            ioas: ioas, iova: IOVA(0x1000), byteCount: 0x20_0000, backing: backing, offset: 0x4000,
            protection: .readWrite)
        try engine.mark(hwpt, token: 5)
        let session = try engine.createSession("s")
        try engine.preserve(one, in: session)
        return engine
    }

    private func bytes(_ machine: Machine) -> [UInt8] {
        machine.memory.segments.flatMap { Array($0.bytes) }
    }

    @Test func `a preserved device that sleeps, or whose interrupts are on, is not frozen`() throws {
        var engine = try start()
        let machine = engine.machine
        func reaches() -> Bool {
            machine.dma(one, iova: IOVA(0x1008), access: .write) == .address(PhysicalAddress(0x4008))
        }
        #expect(reaches())
        // Another one's are its own business.
        try engine.setInterrupts(true, of: two)
        #expect(engine.freezeObstacle() == nil)
        try engine.setPower(false, of: one)
        #expect(!reaches() && engine.freezeObstacle() == Refusal(.EINVAL, requester: one))
        try engine.setPower(true, of: one)
        try engine.setInterrupts(true, of: one)
        let before = bytes(machine)
        guard case .refused(var running, let refusal) = engine.freeze() else {
            Issue.record("frozen")
            return
        }
        #expect(refusal == Refusal(.EINVAL, requester: one))
        #expect(bytes(machine) == before && reaches())
        try running.setInterrupts(false, of: one)
        guard case .frozen = running.freeze() else {
            Issue.record("not frozen")
            return
        }
        #expect(reaches())
    }

    @Test func `freezing clears what is not preserved, thawing puts every byte back`() throws {
        let engine = try start()
        let machine = engine.machine
        for device in [one, two] { _ = machine.dma(device, iova: IOVA(0x1000), access: .read) }
        let before = bytes(machine)
        let attachments = engine.attachments
        guard case .frozen(let frozen) = engine.freeze() else {
            Issue.record("the freeze was refused")
            return
        }
        #expect(frozen.cleared.map(\.requester) == [two] + ["01:00.0", "01:00.1", "02:00.0"].map(TestMachine.rid))
        #expect(frozen.preserved.map(\.requester) == [one])
        #expect(machine.dma(one, iova: IOVA(0x1008), access: .write) == .address(PhysicalAddress(0x4008)))
        #expect(machine.dma(two, iova: IOVA(0x1008), access: .write) == .fault(.vtd(.contextNotPresent)))
        #expect(
            machine.dma(TestMachine.rid("02:00.0"), iova: IOVA(0), access: .read) == .fault(.vtd(.contextNotPresent)))
        #expect(machine.findStaleEntries() == [])
        #expect(bytes(machine) != before)
        let thawed = frozen.thaw()
        #expect(bytes(machine) == before)
        #expect(thawed.attachments == attachments)
        #expect(machine.dma(two, iova: IOVA(0x1008), access: .write) == .address(PhysicalAddress(0x4008)))
        #expect(thawed.checkInvariants() == [])
    }

    @Test func `a device that must not be blocked keeps its entry and is listed`() throws {
        let region = ReservedRegion(
            group: GroupID(6), kind: .direct, range: IOVARange(first: IOVA(0x8000), last: IOVA(0x8fff))!)
        let kept = TestMachine.rid("02:00.0")
        guard case .frozen(let frozen) = try start(reserved: [region]).freeze() else {
            Issue.record("the freeze was refused")
            return
        }
        #expect(frozen.kept == [kept])
        let machine = frozen.jump()
        #expect(machine.dma(kept, iova: IOVA(0x8000), access: .read) == .address(PhysicalAddress(0x8000)))
    }

    @Test func `a preserved entry stays although a damaged root table names its table for another bus too`() throws {
        let engine = try start()
        let machine = engine.machine
        let root = machine.units[0].registers.rootTableAddress.rootTable
        let word = try unwrapped(machine.memory.word(at: root))
        #expect(machine.memory.setWord(word, at: try unwrapped(root.offset(by: 9 * 16))))
        guard case .frozen(let frozen) = engine.freeze() else {
            Issue.record("the freeze was refused")
            return
        }
        #expect(machine.dma(one, iova: IOVA(0x1008), access: .write) == .address(PhysicalAddress(0x4008)))
        #expect(frozen.kept == [TestMachine.rid("09:03.0")])
    }

    @Test func `a freeze whose guards fail gives the engine back as it was`() throws {
        let log = EventLog()
        var engine = try start(log)
        engine.groupTable[GroupID(3)] = Group(id: GroupID(3), members: [one, TestMachine.rid("00:03.1")])
        let before = bytes(engine.machine)
        switch engine.freeze() {
        case .frozen: Issue.record("a group of two was frozen")
        case .refused(let engine, let refusal):
            #expect(refusal == Refusal(.EOPNOTSUPP, .preserveGroup, requester: one))
            #expect(bytes(engine.machine) == before)
            #expect(log.events.last?.name == "freeze")
            #expect(log.events.last?.errno == .EOPNOTSUPP)
        }
    }

    @Test func `the preserved tables do not change over freeze and jump but for the hardware's own bits`() throws {
        let engine = try start(accessedDirty: true)
        let machine = engine.machine
        let mask = PageTableConfiguration(topLevel: 3, accessedDirty: true)!.hardwareUpdatedMask
        guard case .frozen(let frozen) = engine.freeze() else {
            Issue.record("the freeze was refused")
            return
        }
        let pages = frozen.engine.tablePages(of: frozen.preserved[0].domain).map(\.address)
        #expect(pages.count == 5)
        func words() -> [UInt64] {
            pages.flatMap { page in (0..<512).map { machine.memory.page(at: page)![$0] & ~mask } }
        }
        func raw() -> [UInt64] {
            pages.flatMap { page in (0..<512).map { machine.memory.page(at: page)![$0] } }
        }
        let (masked, all) = (words(), raw())
        let survivor = frozen.jump()
        for page in stride(from: 0 as UInt64, to: 0x20_0000, by: 0x1000) {
            #expect(
                survivor.dma(one, iova: IOVA(0x1000 + page), access: .write) == .address(PhysicalAddress(0x4000 + page))
            )
        }
        #expect(words() == masked)
        #expect(raw() != all)
    }

    @Test func `the nonce comes from the engine's seed and survives in memory`() throws {
        func nonce() throws -> [UInt8]? {
            guard case .frozen(var frozen) = try start().freeze() else { return nil }
            let drawn = frozen.drawNonce()
            #expect(frozen.engine.machine.nonce == nil)
            frozen.engine.machine.setNonce(drawn)
            let machine = frozen.jump()
            #expect(machine.nonce == drawn)
            machine.setNonce(nil)
            #expect(machine.nonce == nil)
            return drawn
        }
        let first = try #require(try nonce())
        #expect(first.count == 16)
        #expect(try nonce() == first)
    }
}
