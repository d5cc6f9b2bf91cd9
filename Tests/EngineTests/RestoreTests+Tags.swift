import IOMMUModel
import PageTables
import Testing

@testable import Engine

/// Domains that came under several cache tags of one unit.
extension RestoreTests {
    /// Gives `device` another DID in its context entry, as a former kernel may have had it.
    private func retag(_ machine: Machine, _ entry: PhysicalAddress, _ tag: UInt32) {
        let high = machine.memory.word(at: entry.advanced(8)) ?? 0
        #expect(machine.memory.setWord(high & ~0xff_ff00 | UInt64(tag) << 8, at: entry.advanced(8)))
        machine.units[0].invalidateAll()
    }

    @Test func `a domain under several tags is taken over with all of them, and they are freed with it`() throws {
        let handed = try handOver()
        let unit = TestMachine.unit
        var probe = try RestoringEngine(machine: handed.machine, source: .handedOver) { _ in }
        try probe.takeOver(unit: unit)
        retag(handed.machine, try unwrapped(probe.engine.resolved(AttachmentKey(two))?.entryAddress), 0x41)

        var restoring = try RestoringEngine(machine: handed.machine, source: .handedOver) { _ in }
        let session = try restoring.addSession("s")
        try restoring.takeOver(unit: unit)
        restoring.hold(frames: handed.pages)
        let tags: [Domain.CacheTag] = [.init(unit: unit, cacheTag: 0x41), .init(unit: unit, cacheTag: handed.tag)]
        try restoring.reserveTag(unit: unit, tag: handed.tag)
        #expect(
            refusal { () throws(Refusal) in
                _ = try restoring.adoptDomain(
                    kind: .paging, geometry: handed.geometry, on: TestMachine.unit, cacheTags: tags)
            } == Refusal(.EINVAL), "a tag that was not reserved")
        try restoring.reserveTag(unit: unit, tag: 0x41)
        // One of them twice is one of them.
        let domain = try restoring.adoptDomain(
            kind: .paging, geometry: handed.geometry, on: TestMachine.unit, cacheTags: tags + tags, token: 5,
            session: session)
        try restoring.attachRestored(one, domain: domain, session: session)
        try restoring.attachRestored(two, domain: domain, session: session)
        var engine = try restoring.start()
        #expect(engine.domain(domain)?.cacheTags.map(\.cacheTag) == [handed.tag, 0x41])
        #expect(engine.domain(domain)?.cacheTag(on: unit) == handed.tag)
        #expect(engine.attachment(one)?.space?.tag == handed.tag)
        #expect(engine.attachment(two)?.space?.tag == 0x41)
        #expect(engine.checkInvariants() == [])
        #expect(reaches(handed.machine, one) && reaches(handed.machine, two))
        #expect(handed.machine.findStaleEntries().isEmpty)

        try engine.release(two)
        #expect(engine.cacheTagsInUse(on: unit).contains(0x41))
        try engine.release(one)
        #expect(engine.domain(domain) == nil)
        #expect(!engine.cacheTagsInUse(on: unit).contains { $0 == 0x41 || $0 == handed.tag })
        #expect(handed.machine.units[0].iotlb.entries.isEmpty)
        #expect(engine.checkInvariants() == [])
    }

    @Test func `an entry under a tag that the domain has not is not taken over`() throws {
        let handed = try handOver()
        var restoring = try RestoringEngine(machine: handed.machine, source: .handedOver) { _ in }
        retag(handed.machine, try unwrapped(restoring.engine.resolved(AttachmentKey(two))?.entryAddress), 0x41)
        try restoring.takeOver(unit: TestMachine.unit)
        restoring.hold(frames: handed.pages)
        try restoring.reserveTag(unit: TestMachine.unit, tag: handed.tag)
        let domain = try restoring.adoptDomain(
            kind: .paging, geometry: handed.geometry, on: TestMachine.unit,
            cacheTags: [.init(unit: TestMachine.unit, cacheTag: handed.tag)])
        try restoring.attachRestored(one, domain: domain)
        #expect(
            refusal { () throws(Refusal) in try restoring.attachRestored(two, domain: domain) }
                == Refusal(.EINVAL, .attachmentEntryDiffers, requester: two))
    }

    @Test func `an unmap is invalidated under every tag of the domain`() throws {
        let machine = try TestMachine.make()
        var old = try LiveEngine.start(machine) { _ in }
        let (ioas, hwpt) = try old.space()
        try old.own(one, on: hwpt)
        try old.own(two, on: hwpt)
        let backing = try old.addBacking(.physical)
        try old.map(
            ioas: ioas, iova: IOVA(0x1000), byteCount: 0x1000, backing: backing, offset: 0x4000, protection: .readWrite)
        let domain = try unwrapped(old.domain(old.hwpt(hwpt)!.domain))
        let tag = domain.cacheTags[0].cacheTag
        retag(machine, try unwrapped(old.attachment(two)?.entryAddress), 0x41)

        let unit = TestMachine.unit
        var taking = try RestoringEngine(machine: machine, source: .running) { _ in }
        try taking.takeOver(unit: unit)
        taking.hold(frames: old.tablePages(of: domain.id).map { PhysicalRange(first: $0.address, bytes: 4096)! })
        for tag in [tag, 0x41] { try taking.reserveTag(unit: unit, tag: tag) }
        let physical = try taking.addBacking(.physical, assumed: true)
        let adopted = try taking.adoptDomain(
            kind: .paging, holder: .iommufd,
            geometry: .init(root: domain.table!.root, topLevel: 3, addressBits: 48),
            on: TestMachine.unit, cacheTags: [.init(unit: unit, cacheTag: tag), .init(unit: unit, cacheTag: 0x41)])
        let area = IOPTArea(
            range: IOVARange(first: IOVA(0x1000), bytes: 0x1000)!, backing: physical, offset: 0x4000,
            protection: .readWrite)
        let space = try taking.addIOAS(areas: [area], origin: .derived)
        _ = try taking.addHWPT(ioas: space, domain: adopted, token: 1)
        for (device, group) in [(one, GroupID(3)), (two, GroupID(4))] {
            try taking.setOwner(.vfio, token: 1, assumed: true, of: group)
            try taking.attachRestored(device, domain: adopted)
        }
        var next = try taking.start()
        #expect(reaches(machine, one) && reaches(machine, two))
        #expect(Set(machine.units[0].iotlb.entries.map(\.space.tag)) == [tag, 0x41])
        try next.unmap(ioas: space, iova: IOVA(0x1000), byteCount: 0x1000)
        #expect(machine.units[0].iotlb.entries.isEmpty)
        #expect(!reaches(machine, one) && !reaches(machine, two))
        #expect(next.checkInvariants() == [])
    }
}
