import IOMMUModel
import PageTables
import Testing

@testable import Engine

/// Devices that are not taken over, and how they are let go.
extension RestoreTests {
    @Test func `an entry that memory does not say is not taken over, and the quarantined device is blocked`() throws {
        let handed = try handOver()
        let machine = handed.machine
        var restoring = try RestoringEngine(machine: machine, source: .handedOver) { _ in }
        let session = try restoring.addSession("s")
        try restoring.takeOver(unit: TestMachine.unit)
        restoring.hold(frames: handed.pages)
        let unit = TestMachine.unit
        let tags: [Domain.CacheTag] = [.init(unit: unit, cacheTag: handed.tag)]
        #expect(
            refusal { () throws(Refusal) in
                _ = try restoring.adoptDomain(
                    kind: .paging, geometry: handed.geometry, on: TestMachine.unit, cacheTags: tags)
            } == Refusal(.EINVAL))
        try restoring.reserveTag(unit: unit, tag: handed.tag)
        #expect(
            refusal { () throws(Refusal) in try restoring.reserveTag(unit: unit, tag: handed.tag) }
                == Refusal(.EEXIST, .cacheTagCollision))
        var wrong = handed.geometry
        wrong.root = PhysicalAddress(wrong.root.rawValue + 4096)
        let domain = try restoring.adoptDomain(kind: .paging, geometry: wrong, on: TestMachine.unit, cacheTags: tags)
        #expect(
            refusal { () throws(Refusal) in
                _ = try restoring.adoptDomain(
                    kind: .paging, geometry: handed.geometry, on: TestMachine.unit, cacheTags: tags)
            } == Refusal(.EEXIST, .cacheTagCollision))
        #expect(
            refusal { () throws(Refusal) in
                try restoring.attachRestored(one, domain: domain, session: session)
            } == Refusal(.EINVAL, .attachmentEntryDiffers, requester: one))
        #expect(
            refusal { () throws(Refusal) in
                try restoring.attachRestored(TestMachine.rid("09:00.0"), domain: domain, session: session)
            } == Refusal(.ENODEV, .deviceMissing, requester: TestMachine.rid("09:00.0")))
        #expect(reaches(machine, one))
        try restoring.quarantine(one)
        #expect(machine.device(one)?.busMaster == false)
        machine.setBusMaster(true, of: one)
        #expect(machine.dma(one, iova: IOVA(0x1008), access: .write) == .fault(.vtd(.contextNotPresent)))
        let engine = try restoring.start()
        // What nobody took over was cleared as well, and no frame of the lost tables can be allocated.
        #expect(machine.dma(two, iova: IOVA(0x1008), access: .write) == .fault(.vtd(.rootNotPresent)))
        #expect(engine.attachment(one)!.state == .quarantined)
        #expect(handed.pages.allSatisfy { engine.arena.isAllocated($0.first) })
    }

    @Test func `a quarantined device keeps its domain's pages until it is released, which needs a reset`() throws {
        let handed = try handOver(both: false)
        let restored = try restore(handed, attach: [one])
        let (session, domain) = (restored.session, restored.domain)
        var engine = restored.engine
        try engine.quarantine(one)
        #expect(engine.domain(domain) != nil)
        #expect(engine.attachment(one)!.heldDomain == domain)
        #expect(engine.checkInvariants() == [])
        try engine.release(through)
        try engine.finish(session)
        #expect(engine.attachment(one)!.state == .quarantined)
        try engine.release(one)
        #expect(engine.domain(domain) == nil)
        #expect(handed.pages.allSatisfy { !engine.arena.isAllocated($0.first) })
        #expect(engine.checkInvariants() == [])

        var devices = TestMachine.devices
        devices[0].canReset = false
        let machine = try TestMachine.make(devices: devices)
        var plain = try LiveEngine.start(machine) { _ in }
        try plain.quarantine(one)
        #expect(errno { () throws(Errno) in try plain.release(one) } == .EOPNOTSUPP)
        #expect(errno { () throws(Errno) in try plain.release(two) } == .EINVAL)
    }

    @Test func `a quarantined device that was attached leaves its HWPT when it is released`() throws {
        let machine = try TestMachine.make()
        var engine = try LiveEngine.start(machine) { _ in }
        let (ioas, hwpt) = try engine.space()
        let backing = try engine.addBacking(.physical)
        try engine.own(one, on: hwpt)
        try engine.quarantine(one)
        #expect(engine.checkInvariants() == [])
        #expect(errno { () throws(Errno) in try engine.destroyHWPT(hwpt) } == .EBUSY)
        #expect(errno { () throws(Errno) in try engine.releaseOwner(GroupID(3)) } == .EBUSY)
        try engine.release(one)
        #expect(engine.group(GroupID(3))?.hwpt == nil)
        #expect(engine.group(GroupID(3))?.attached == [])
        #expect(engine.group(GroupID(3))?.owner == DMAOwner.none)
        #expect(engine.checkInvariants() == [])
        // The interrupt window was reserved on behalf of the group.
        try engine.map(
            ioas: ioas, iova: IOVA(0xfee0_0000), byteCount: 0x1000, backing: backing, offset: 0, protection: .read)
        try engine.destroyHWPT(hwpt)

        // One of two: the other one's requests go through the same entry.
        let (_, shared) = try engine.space()
        let (first, second) = (TestMachine.rid("01:00.0"), TestMachine.rid("01:00.1"))
        try engine.own(first, on: shared)
        try engine.attach(second, to: shared)
        try engine.quarantine(first)
        #expect(errno { () throws(Errno) in try engine.release(first) } == .EBUSY)
        #expect(engine.attachment(first)!.state == .quarantined)
        #expect(engine.checkInvariants() == [])
        let (_, alone) = try engine.space()
        try engine.own(TestMachine.rid("02:00.0"), on: alone)
        #expect(engine.checkInvariants() == [])
    }

    @Test func `a device that only followed its group leaves the HWPT with the one that is released`() throws {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        let (_, hwpt) = try engine.space()
        let (first, second) = (TestMachine.rid("01:00.0"), TestMachine.rid("01:00.1"))
        try engine.own(first, on: hwpt)
        try engine.quarantine(first)
        try engine.release(first)
        #expect(engine.domain(engine.attachment(second)!.domain)!.kind == .blocked)
        #expect(engine.group(GroupID(5))?.hwpt == nil)
        try engine.destroyHWPT(hwpt)
        #expect(engine.checkInvariants() == [])
    }
}
