import IOMMUModel
import PageTables
import Testing

@testable import Engine

/// From the jump to the finish: what a new engine takes over and how it gets rid of it.
@Suite struct RestoreTests {
    @Test func `DMA reaches the same memory before, during and after, and the old domain goes with its last device`()
        throws
    {
        let handed = try handOver()
        let machine = handed.machine
        #expect(reaches(machine, one))
        machine.units[0].invalidateAll()
        #expect(reaches(machine, one))
        let restored = try restore(handed)
        let (session, old) = (restored.session, restored.domain)
        var engine = restored.engine
        #expect(reaches(machine, one) && reaches(machine, two))
        #expect(machine.dma(through, iova: IOVA(0x77), access: .read) == .address(PhysicalAddress(0x77)))
        #expect(engine.checkInvariants() == [])
        #expect(engine.attachment(one)!.state == .restored)
        #expect(engine.group(of: one)!.owner == .token)

        // Nobody but the session's claimer gets it.
        #expect(errno { () throws(Errno) in try engine.claimOwner(GroupID(3), token: 9) } == .EBUSY)
        #expect(errno { () throws(Errno) in try engine.releaseOwner(GroupID(3)) } == .EINVAL)
        #expect(errno { () throws(Errno) in try engine.detach(one) } == .EBUSY)
        #expect(errno { () throws(Errno) in try engine.claim(one, session: SessionID(99)) } == .ENOENT)
        #expect(errno { () throws(Errno) in _ = try engine.adoptHWPT(token: 5, session: session) } == .EINVAL)
        for device in [one, two, through] {
            try engine.claim(device, session: session)
            try engine.claim(device, session: session)
        }
        #expect(errno { () throws(Errno) in _ = try engine.adoptHWPT(token: 6, session: session) } == .ENOENT)
        let adopted = try engine.adoptHWPT(token: 5, session: session)
        #expect(errno { () throws(Errno) in _ = try engine.adoptHWPT(token: 5, session: session) } == .ENOENT)
        #expect(errno { () throws(Errno) in try engine.attach(one, to: adopted) } == .EBUSY)

        let (ioas, new) = try engine.space()
        let backing = try engine.addBacking(.physical)
        try engine.map(
            ioas: ioas, iova: IOVA(0x1000), byteCount: 0x20_0000, backing: backing, offset: 0x4000,
            protection: .readWrite)
        #expect(errno { () throws(Errno) in try engine.replace(one, with: new) } == .EINVAL)
        #expect(refusal { () throws(Refusal) in try engine.finish(session) } == Refusal(.EBUSY, requester: one))
        try engine.verify(one, with: new)
        try engine.replace(one, with: new)
        #expect(reaches(machine, one) && reaches(machine, two))
        #expect(engine.domain(old) != nil)
        #expect(engine.checkInvariants() == [])
        #expect(refusal { () throws(Refusal) in try engine.finish(session) } == Refusal(.EBUSY, requester: two))
        // What was compared is no longer what is there.
        #expect(engine.domainState(two) == .verified)
        try engine.map(
            ioas: ioas, iova: IOVA(0x80_0000), byteCount: 0x1000, backing: backing, protection: .readWrite)
        #expect(engine.domainState(two) == .rebuilding)
        #expect(errno { () throws(Errno) in try engine.replace(two, with: new) } == .EINVAL)
        let before = engine.arena.allocatedCount
        try engine.replace(two, with: new, attachNew: true)
        #expect(engine.domain(old) == nil)
        #expect(engine.hwpt(adopted) == nil)
        #expect(engine.arena.allocatedCount == before - handed.pages.count)
        #expect(!engine.cacheTagsInUse(on: TestMachine.unit).contains(handed.tag))
        #expect(engine.attachment(one)!.isReplacedUnverified == false)
        #expect(engine.attachment(two)!.isReplacedUnverified)
        #expect(refusal { () throws(Refusal) in try engine.finish(session) } == Refusal(.EBUSY, requester: through))
        try engine.release(through)
        try engine.finish(session)
        #expect(engine.sessions == [])
        #expect(reaches(machine, one) && reaches(machine, two))
        #expect(engine.attachments.allSatisfy { $0.state == .live })
        #expect(engine.checkInvariants() == [])
        // And it is an ordinary engine again.
        try engine.detach(one)
        try engine.unmap(ioas: ioas, iova: IOVA(0x1000), byteCount: 0x20_0000)
        #expect(machine.dma(two, iova: IOVA(0x1008), access: .write) == .fault(.vtd(.writePermission)))
        #expect(engine.checkInvariants() == [])
    }

    @Test func `tags of a former kernel are never handed out while it is there`() throws {
        let handed = try handOver()
        let restored = try restore(handed)
        var engine = restored.engine
        var tags: Set<UInt32> = []
        for _ in 0..<20 {
            let (_, hwpt) = try engine.space()
            tags.insert(try unwrapped(engine.domain(engine.hwpt(hwpt)!.domain)?.cacheTags.first?.cacheTag))
        }
        #expect(tags.count == 20)
        #expect(tags.isDisjoint(with: [0, handed.tag, handed.identityTag]))
    }

    @Test func `what the caches hold of an entry that nobody took over is invalidated`() throws {
        // All entries are in one context table, which stays; no table goes that would have everything invalidated.
        let handed = try handOver(devices: TestMachine.devices.prefix(2) + [TestMachine.device("00:05.0", group: 6)])
        #expect(reaches(handed.machine, one) && reaches(handed.machine, two))
        let restored = try restore(handed, attach: [one])
        #expect(reaches(handed.machine, one))
        #expect(handed.machine.dma(two, iova: IOVA(0x1008), access: .write) == .fault(.vtd(.contextNotPresent)))
        #expect(restored.engine.checkInvariants() == [])
    }

    @Test func `a group that inherited two domains is not switched to one of them`() throws {
        var handed = try handOver()
        // The next kernel finds 02:00.0, which passes through, in the group of 00:03.0.
        handed.machine = try Machine(
            memory: handed.machine.memory, ramRanges: handed.machine.ramRanges,
            arenaRanges: handed.machine.arenaRanges, handoverPage: handed.machine.handoverPage,
            units: handed.machine.units.map(\.description),
            devices: TestMachine.devices.map {
                $0.requester == through ? TestMachine.device("02:00.0", group: 3) : $0
            })
        let restored = try restore(handed)
        let session = restored.session
        var engine = restored.engine
        for device in [one, two, through] { try engine.claim(device, session: session) }
        _ = try engine.adoptHWPT(token: 5, session: session)
        let (_, new) = try engine.space()
        #expect(errno { () throws(Errno) in try engine.replace(one, with: new, attachNew: true) } == .EINVAL)
        #expect(reaches(handed.machine, one))
        #expect(handed.machine.dma(through, iova: IOVA(0x77), access: .read) == .address(PhysicalAddress(0x77)))
        #expect(engine.checkInvariants() == [])
    }

    @Test func `a unit that cannot be taken over is set up anew, with every device blocked`() throws {
        let handed = try handOver()
        let machine = handed.machine
        #expect(reaches(machine, one))
        var restoring = try RestoringEngine(machine: machine, source: .handedOver) { _ in }
        restoring.hold(frames: handed.pages + [PhysicalRange(first: handed.root, bytes: 4096)!])
        let engine = try restoring.start()
        #expect(!reaches(machine, one) && !reaches(machine, two))
        #expect(machine.units[0].registers.rootTableAddress.rootTable != handed.root)
        #expect(engine.checkInvariants() == [])
    }

    @Test func `a root entry that leads to no context table is cleared`() throws {
        let handed = try handOver()
        let slot = handed.root.advanced(16 * 7)
        #expect(handed.machine.memory.setWord(0x5_5555_5000 | 1, at: slot))
        let restored = try restore(handed)
        let engine = restored.engine
        #expect(handed.machine.memory.word(at: slot) == 0)
        #expect(reaches(handed.machine, one))
        #expect(engine.checkInvariants() == [])
    }

    @Test func `page tables for no address bits are refused`() throws {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        let ioas = try engine.createIOAS()
        for bits in [0, -5] {
            #expect(
                errno { () throws(Errno) in
                    _ = try engine.createHWPT(ioas: ioas, unit: TestMachine.unit, addressBits: bits)
                } == .EINVAL)
        }
    }

    @Test func `an entry that stands elsewhere than recorded is not taken over`() throws {
        let handed = try handOver()
        var restoring = try RestoringEngine(machine: handed.machine, source: .handedOver) { _ in }
        try restoring.takeOver(unit: TestMachine.unit, root: handed.root)
        restoring.hold(frames: handed.pages)
        try restoring.reserveTag(unit: TestMachine.unit, tag: handed.tag)
        let domain = try restoring.adoptDomain(
            kind: .paging, geometry: handed.geometry,
            on: TestMachine.unit, cacheTags: [.init(unit: TestMachine.unit, cacheTag: handed.tag)])
        let place = try unwrapped(restoring.engine.resolved(AttachmentKey(one))?.entryAddress)
        #expect(
            refusal { () throws(Refusal) in
                try restoring.attachRestored(one, domain: domain, entryAddress: place.advanced(16))
            } == Refusal(.EINVAL, .attachmentEntryDiffers, requester: one))
        try restoring.attachRestored(one, domain: domain, entryAddress: place)
    }

    @Test func `a unit that changed is not taken over`() throws {
        let handed = try handOver()
        var restoring = try RestoringEngine(machine: handed.machine, source: .handedOver) { _ in }
        #expect(
            refusal { () throws(Refusal) in try restoring.takeOver(unit: UnitID(9)) }
                == Refusal(.ENODEV, .unitMissing))
        #expect(
            refusal { () throws(Refusal) in
                try restoring.takeOver(unit: TestMachine.unit, root: PhysicalAddress(0x5000))
            } == Refusal(.EINVAL, .unitRegisterDiffers))
        handed.machine.units[0].registers.globalStatus.rawValue = 0
        #expect(
            refusal { () throws(Refusal) in try restoring.takeOver(unit: TestMachine.unit) }
                == Refusal(.EINVAL, .vtdTranslationMode))
    }

    @Test func `a running state is taken over whole and goes on as if the engine had always been there`() throws {
        let machine = try TestMachine.make()
        var engine = try LiveEngine.start(machine) { _ in }
        let (ioas, hwpt) = try engine.space()
        try engine.own(one, on: hwpt)
        let backing = try engine.addBacking(.physical)
        try engine.map(
            ioas: ioas, iova: IOVA(0x1000), byteCount: 0x20_0000, backing: backing, offset: 0x4000,
            protection: .readWrite)
        let domain = try unwrapped(engine.domain(engine.hwpt(hwpt)!.domain))
        let pages = engine.tablePages(of: domain.id).map { PhysicalRange(first: $0.address, bytes: 4096)! }
        // An entry that no device stands behind, as an image can have it.
        let stray = try unwrapped(engine.attachment(one)?.entryAddress).advanced(16)
        #expect(machine.memory.setWord(0x3, at: stray))

        var taking = try RestoringEngine(machine: machine, source: .running) { _ in }
        try taking.takeOver(unit: TestMachine.unit)
        taking.hold(frames: pages)
        try taking.reserveTag(unit: TestMachine.unit, tag: domain.cacheTags[0].cacheTag)
        let physical = try taking.addBacking(.physical, assumed: true)
        let adopted = try taking.adoptDomain(
            kind: .paging, holder: .iommufd,
            geometry: .init(root: domain.table!.root, topLevel: 3, addressBits: 48), on: TestMachine.unit,
            cacheTags: domain.cacheTags)
        let area = IOPTArea(
            range: IOVARange(first: IOVA(0x1000), bytes: 0x20_0000)!, backing: physical, offset: 0x4000,
            protection: .readWrite)
        let space = try taking.addIOAS(areas: [area], origin: .derived)
        let object = try taking.addHWPT(ioas: space, domain: adopted, token: 1)
        try taking.setOwner(.vfio, token: 1, assumed: true, of: GroupID(3))
        try taking.attachRestored(one, domain: adopted)
        let session = try taking.addSession("imported")
        var next = try taking.start()
        #expect(machine.memory.word(at: stray) == 0x3)
        #expect(next.attachment(one)!.state == .live)
        #expect(next.checkInvariants() == [])
        #expect(reaches(machine, one))
        try next.map(
            ioas: space, iova: IOVA(0x40_0000), byteCount: 0x1000, backing: physical, offset: 0, protection: .read)
        #expect(
            errno { () throws(Errno) in
                try next.map(
                    ioas: space, iova: IOVA(0xfee0_0000), byteCount: 0x1000, backing: physical, offset: 0,
                    protection: .read)
            } == .EINVAL, "the group reserves the interrupt window")
        try next.unmap(ioas: space, iova: IOVA(0x1000), byteCount: 0x20_0000)
        #expect(next.checkInvariants() == [])
        try next.preserve(one, in: session)
        guard case .frozen(let frozen) = next.freeze() else {
            Issue.record("the freeze was refused")
            return
        }
        #expect(machine.memory.word(at: stray) == 0)
        next = frozen.thaw()
        try next.closeSession(session)
        try next.detach(one)
        try next.map(
            ioas: space, iova: IOVA(0xfee0_0000), byteCount: 0x1000, backing: physical, offset: 0, protection: .read)
        try next.destroyHWPT(object)
        #expect(next.arena.allocatedCount == 2)
    }
}
