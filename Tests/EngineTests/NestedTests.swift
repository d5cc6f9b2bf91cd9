import Hardware
import IOMMUModel
import PageTables
import Testing

@testable import Engine

/// A guest's tables below the host's: read by the hardware, written by the guest.
@Suite struct NestedTests {
    private let one = TestMachine.rid("00:03.0")
    private let two = TestMachine.rid("00:04.0")
    private static let flavours: [UnitFlavour] = [.vtdSecondStage, .amdV1]

    /// Where the guest's memory lies in the host's: its address 0 is this.
    private static let guestBase: UInt64 = 0x300_0000
    private static let guestBytes: UInt64 = 0x10_0000

    private struct Ground: ~Copyable {
        var engine: LiveEngine
        var ioas: IOASID
        var host: HWPTID
    }

    /// A machine whose host tables map the guest's memory, with guest tables at guest address 0 that map 0x40_0000 to guest
    /// address 0x8000.
    private func start(_ flavour: UnitFlavour) throws -> Ground {
        let machine = try flavour.machine()
        var engine = try LiveEngine.start(machine) { _ in }
        let (ioas, host) = try engine.space(flavour)
        let backing = try engine.addBacking(.physical)
        try engine.map(
            ioas: ioas, iova: IOVA(0), byteCount: Self.guestBytes, backing: backing, offset: Self.guestBase,
            protection: .readWrite)
        write(machine, 0x0000, 0, 0x1000 | 0x27)
        write(machine, 0x1000, 0, 0x2000 | 0x27)
        write(machine, 0x2000, 2, 0x3000 | 0x27)
        write(machine, 0x3000, 0, 0x8000 | 0x67)
        try engine.claimOwner(GroupID(3), token: 7)
        try engine.claimOwner(GroupID(4), token: 7)
        return Ground(engine: engine, ioas: ioas, host: host)
    }

    /// Writes a word of the guest's memory.
    private func write(_ machine: Machine, _ page: UInt64, _ index: UInt64, _ word: UInt64) {
        #expect(machine.memory.setWord(word, at: PhysicalAddress(Self.guestBase + page + index * 8)))
    }

    private func isFault(_ outcome: DMAOutcome) -> Bool {
        if case .fault = outcome { true } else { false }
    }

    @Test(arguments: flavours)
    func `what a group forbids in the host's address space is free again once its nested attachment is gone`(
        flavour: UnitFlavour
    ) throws {
        var ground = try start(flavour)
        let nested = try ground.engine.createNestedHWPT(
            parent: ground.host, unit: TestMachine.unit, root: PhysicalAddress(0))
        let backing = try ground.engine.addBacking(.physical)
        let ioas = ground.ioas
        func map(_ engine: inout LiveEngine) -> Errno? {
            do throws(Errno) {
                try engine.map(
                    ioas: ioas, iova: IOVA(0xfee0_0000), byteCount: 0x1000, backing: backing, offset: 0,
                    protection: .read)
                return nil
            } catch { return error }
        }
        try ground.engine.attach(one, to: nested)
        #expect(map(&ground.engine) == .EINVAL)
        try ground.engine.detach(one)
        #expect(map(&ground.engine) == nil)
    }

    @Test(arguments: flavours)
    func `requests go through both stages, the host's changes reach them, and the guest's tables are not the engine's`(
        flavour: UnitFlavour
    ) throws {
        var ground = try start(flavour)
        let machine = ground.engine.machine
        let nested = try ground.engine.createNestedHWPT(
            parent: ground.host, unit: TestMachine.unit, root: PhysicalAddress(0))
        let frames = ground.engine.arena.allocatedFrames
        try ground.engine.attach(one, to: nested)
        let pasid = PASID(64)!
        try ground.engine.attach(two, pasid: pasid, to: nested)
        #expect(ground.engine.checkInvariants() == [])
        let reached = DMAOutcome.address(PhysicalAddress(Self.guestBase + 0x8123))
        for _ in 0..<2 {
            #expect(machine.dma(one, iova: IOVA(0x40_0123), access: .write) == reached)
            #expect(machine.dma(two, pasid: pasid, iova: IOVA(0x40_0123), access: .read) == reached)
        }
        #expect(isFault(machine.dma(one, iova: IOVA(0x8123), access: .read)), "the guest does not map it")
        #expect(isFault(machine.dma(two, iova: IOVA(0x40_0123), access: .read)))
        #expect(ground.engine.tablePages(of: ground.engine.hwpt(nested)!.domain).isEmpty)
        #expect(errno { () throws(Errno) in try ground.engine.destroyHWPT(ground.host) } == .EBUSY)

        // What the host takes away, the guest's requests lose, caches or not.
        _ = try ground.engine.unmap(ioas: ground.ioas, iova: IOVA(0), byteCount: Self.guestBytes)
        #expect(isFault(machine.dma(one, iova: IOVA(0x40_0123), access: .write)))
        #expect(isFault(machine.dma(two, pasid: pasid, iova: IOVA(0x40_0123), access: .read)))
        #expect(machine.findStaleEntries() == [])
        try ground.engine.detach(one)
        try ground.engine.detach(two, pasid: pasid)
        try ground.engine.destroyHWPT(nested)
        #expect(ground.engine.checkInvariants() == [])
        #expect(Set(ground.engine.arena.allocatedFrames).isSubset(of: frames))
    }

    @Test(arguments: flavours)
    func `a nested domain is preserved with the host's below it, taken over and replaced`(flavour: UnitFlavour) throws {
        var ground = try start(flavour)
        let machine = ground.engine.machine
        let nested = try ground.engine.createNestedHWPT(
            parent: ground.host, unit: TestMachine.unit, root: PhysicalAddress(0))
        try ground.engine.attach(one, to: nested)
        let session = try ground.engine.createSession("s")
        try ground.engine.mark(nested, token: 2)
        #expect(
            refusal { () throws(Refusal) in try ground.engine.preserve(one, in: session) }
                == Refusal(.EINVAL, .preserveDomain, requester: one), "the host's object is not marked")
        try ground.engine.mark(ground.host, token: 1)
        try ground.engine.preserve(one, in: session)
        #expect(
            errno { () throws(Errno) in
                _ = try ground.engine.unmap(ioas: ground.ioas, iova: IOVA(0), byteCount: Self.guestBytes)
            } == .EBUSY)
        let hostDomain = ground.engine.domain(ground.engine.hwpt(ground.host)!.domain)!
        let attachment = ground.engine.attachment(one)!
        let geometry = RestoringEngine.Geometry(hostDomain.table!)
        let pages = ground.engine.tablePages(of: hostDomain.id).map {
            PhysicalRange(first: $0.address, bytes: 4096)!
        }
        guard case .frozen(let frozen) = ground.engine.freeze() else {
            Issue.record("the freeze was refused")
            return
        }
        _ = frozen.jump()
        let reached = DMAOutcome.address(PhysicalAddress(Self.guestBase + 0x8123))
        #expect(machine.dma(one, iova: IOVA(0x40_0123), access: .write) == reached, "no engine is there")

        var books = try RestoringEngine(machine: machine, source: .handedOver) { _ in }
        let incoming = try books.addSession("s")
        try books.takeOver(unit: TestMachine.unit)
        books.hold(frames: pages)
        let tag = try unwrapped(attachment.space).tag
        try books.reserveTag(unit: TestMachine.unit, tag: tag)
        let host = try books.adoptDomain(
            kind: .paging, geometry: geometry, on: TestMachine.unit, cacheTags: [], token: 1, session: incoming)
        let guest = try books.adoptDomain(
            kind: .nested,
            geometry: .init(
                format: .x86_64, root: PhysicalAddress(0), topLevel: 3, addressBits: flavour.isAMD ? 47 : 48,
                signExtended: !flavour.isAMD), parent: host, on: TestMachine.unit,
            cacheTags: [.init(unit: TestMachine.unit, cacheTag: tag)], token: 2, session: incoming)
        try books.attachRestored(
            one, domain: guest, session: incoming, entryAddress: attachment.entryAddress, space: attachment.space)
        var engine = try books.start()
        #expect(engine.checkInvariants() == [])
        #expect(machine.dma(one, iova: IOVA(0x40_0123), access: .write) == reached)

        try engine.claim(one, session: incoming)
        let adoptedHost = try engine.adoptHWPT(token: 1, session: incoming)
        let adopted = try engine.adoptHWPT(token: 2, session: incoming)
        #expect(engine.hwpt(adopted)?.parent == adoptedHost)
        let (ioas, newHost) = try engine.space(flavour)
        let backing = try engine.addBacking(.physical)
        try engine.map(
            ioas: ioas, iova: IOVA(0), byteCount: Self.guestBytes, backing: backing, offset: Self.guestBase,
            protection: .readWrite)
        let newGuest = try engine.createNestedHWPT(parent: newHost, unit: TestMachine.unit, root: PhysicalAddress(0))
        try engine.verify(one, with: newGuest)
        try engine.replace(one, with: newGuest)
        #expect(machine.dma(one, iova: IOVA(0x40_0123), access: .write) == reached)
        #expect(engine.domain(host) == nil && engine.domain(guest) == nil, "the old stages are gone")
        try engine.finish(incoming)
        #expect(engine.checkInvariants() == [])
    }

    @Test func `what cannot be nested is answered with its errno`() throws {
        var ground = try start(.vtdSecondStage)
        func nest(_ parent: HWPTID, _ root: UInt64, _ top: Int) -> Errno? {
            errno { () throws(Errno) in
                _ = try ground.engine.createNestedHWPT(
                    parent: parent, unit: TestMachine.unit, root: PhysicalAddress(root), topLevel: top)
            }
        }
        #expect(nest(HWPTID(99), 0, 3) == .ENOENT)
        #expect(nest(ground.host, 0x10, 3) == .EINVAL)
        #expect(nest(ground.host, 0, 4) == .EINVAL, "the unit has no five levels")
        let (_, first) = try ground.engine.space(.vtdFirstStage)
        #expect(nest(first, 0, 3) == .EINVAL, "a first stage is nobody's host")
        var legacy = try LiveEngine.start(try UnitFlavour.vtdLegacy.machine()) { _ in }
        let (_, host) = try legacy.space(.vtdLegacy)
        #expect(
            errno { () throws(Errno) in
                _ = try legacy.createNestedHWPT(parent: host, unit: TestMachine.unit, root: PhysicalAddress(0))
            } == .EINVAL)
    }
}

extension RestoringEngine.Geometry {
    /// Of tables that an engine has.
    init(_ table: PageTable) {
        self.init(
            format: table.configuration.format, root: table.root, topLevel: UInt8(table.configuration.topLevel),
            addressBits: UInt8(table.configuration.addressBits), signExtended: table.configuration.signExtended)
    }
}
