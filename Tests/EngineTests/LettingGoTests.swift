import IOMMUModel
import Testing

@testable import Engine

/// What a device, or the last of a group, leaves behind: found by random lives of machines.
@Suite struct LettingGoTests {
    private let one = TestMachine.rid("00:03.0")
    private let pair = TestMachine.rid("01:00.0")
    private let sibling = TestMachine.rid("01:00.1")

    @Test func `with its owner a group loses the pass-through that the owner had attached`() throws {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        try engine.claimOwner(GroupID(5), token: 1)
        try engine.attachIdentity(pair)
        let machine = engine.machine
        #expect(machine.dma(sibling, iova: IOVA(0x5000), access: .write) == .address(PhysicalAddress(0x5000)))
        try engine.quarantine(pair)
        try engine.release(pair)
        guard case .fault = machine.dma(sibling, iova: IOVA(0x5000), access: .write) else {
            Issue.record("passes through, owned by nobody")
            return
        }
        let owner = engine.group(of: sibling)?.owner
        #expect(owner == DMAOwner.none && engine.checkInvariants() == [])
    }

    @Test func `a preserved device of the group keeps what it is on`() throws {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        try engine.claimOwner(GroupID(5), token: 1)
        try engine.attachIdentity(pair)
        let session = try engine.createSession("s")
        try engine.quarantine(pair)
        try engine.preserve(sibling, in: session, options: .init(lab: true))
        #expect(errno { () throws(Errno) in try engine.release(pair) } == .EBUSY)
        let state = engine.domainState(sibling)
        #expect(state == .preserved)
        #expect(
            engine.machine.dma(sibling, iova: IOVA(0x5000), access: .write) == .address(PhysicalAddress(0x5000)))
    }

    @Test(arguments: UnitFlavour.tagged)
    func `a quarantined device holds on to what it holds when its file is closed`(flavour: UnitFlavour) throws {
        var engine = try LiveEngine.start(try flavour.machine()) { _ in }
        let (_, hwpt) = try engine.space(flavour)
        try engine.own(one, on: hwpt)
        try engine.attach(one, pasid: PASID(9)!, to: hwpt)
        try engine.open(one)
        try engine.quarantine(one)
        try engine.close(one)
        let held = engine.attachment(one, pasid: PASID(9)!)?.state
        #expect(held == .quarantined && engine.checkInvariants() == [])
        #expect(errno { () throws(Errno) in try engine.destroyHWPT(hwpt) } == .EBUSY)
    }

    @Test func `a device that must not be blocked is attached to nothing that it could not leave`() throws {
        let region = ReservedRegion(
            group: GroupID(3), kind: .direct, range: IOVARange(first: IOVA(0x1000), bytes: 0x1000)!)
        var engine = try LiveEngine.start(try TestMachine.make(reserved: [region])) { _ in }
        let (_, hwpt) = try engine.space()
        // As after a claim of one that came over in pass-through mode.
        engine.groupTable[GroupID(3)]!.owner = .vfio
        #expect(errno { () throws(Errno) in try engine.attach(one, to: hwpt) } == .EINVAL)
        #expect(engine.machine.dma(one, iova: IOVA(0x1000), access: .write) == .address(PhysicalAddress(0x1000)))
    }
}
