import Hardware
import IOMMUModel
import PageTables
import Testing

@testable import Engine

/// Requests with a PASID: attached per device, beside its untagged ones.
@Suite struct PASIDTests {
    private let one = TestMachine.rid("00:03.0")
    private let two = TestMachine.rid("00:04.0")
    private static let numbers: [UInt32] = [1, 63, 64, 511, 512, 65_535, 262_144, 0xf_ffff]

    private struct Ground: ~Copyable {
        var engine: LiveEngine
        let hwpts: [HWPTID]
        let ioases: [IOASID]
    }

    private func pasid(_ number: UInt32) -> PASID { PASID(number)! }

    /// An engine with `one` claimed, and as many spaces as asked for, space `n` mapping IOVA 0x1000 to buffer + n * 64 KiB.
    private func start(
        _ flavour: UnitFlavour, spaces: Int, accessedDirty: Bool = false
    ) throws -> Ground {
        var engine = try LiveEngine.start(try flavour.machine(accessedDirty: accessedDirty)) { _ in }
        let backing = try engine.addBacking(.physical)
        var hwpts: [HWPTID] = []
        var ioases: [IOASID] = []
        for number in 0..<spaces {
            let (ioas, hwpt) = try engine.space(flavour)
            try engine.map(
                ioas: ioas, iova: IOVA(0x1000), byteCount: 0x2000, backing: backing,
                offset: TestMachine.buffer.rawValue + UInt64(number) << 16, protection: .readWrite)
            hwpts.append(hwpt)
            ioases.append(ioas)
        }
        try engine.claimOwner(GroupID(3), token: 7)
        return Ground(engine: engine, hwpts: hwpts, ioases: ioases)
    }

    private func reached(_ space: Int, _ offset: UInt64 = 0) -> DMAOutcome {
        .address(PhysicalAddress(TestMachine.buffer.rawValue + UInt64(space) << 16 + offset))
    }

    private func isFault(_ outcome: DMAOutcome) -> Bool {
        if case .fault = outcome { true } else { false }
    }

    @Test(arguments: UnitFlavour.tagged)
    func `eight PASIDs of one device go each through its own tables, two through the same`(flavour: UnitFlavour) throws
    {
        var ground = try start(flavour, spaces: 8)
        let machine = ground.engine.machine
        let before = ground.engine.arena.allocatedCount
        for (index, number) in Self.numbers.enumerated() {
            // The last one shares the domain of the first.
            try ground.engine.attach(one, pasid: pasid(number), to: ground.hwpts[index % 7])
            #expect(ground.engine.checkInvariants() == [])
        }
        for (index, number) in Self.numbers.enumerated() {
            let outcome = machine.dma(one, pasid: pasid(number), iova: IOVA(0x1234), access: .write)
            #expect(outcome == reached(index % 7, 0x234), "\(number)")
            // Once more, from the caches.
            #expect(machine.dma(one, pasid: pasid(number), iova: IOVA(0x1234), access: .write) == outcome)
        }
        #expect(machine.units[0].counters.cacheHits == 8)
        #expect(isFault(machine.dma(one, iova: IOVA(0x1234), access: .read)), "untagged requests are blocked")
        #expect(isFault(machine.dma(one, pasid: pasid(2), iova: IOVA(0x1234), access: .read)))
        #expect(isFault(machine.dma(one, pasid: pasid(0xf_fffe), iova: IOVA(0x1234), access: .read)))
        #expect(machine.findStaleEntries() == [])

        try ground.engine.attach(one, to: ground.hwpts[7])
        #expect(machine.dma(one, iova: IOVA(0x1000), access: .read) == reached(7))
        #expect(ground.engine.checkInvariants() == [])
        try ground.engine.detach(one)
        #expect(isFault(machine.dma(one, iova: IOVA(0x1000), access: .read)))
        for number in Self.numbers.shuffled() {
            try ground.engine.detach(one, pasid: pasid(number))
            #expect(isFault(machine.dma(one, pasid: pasid(number), iova: IOVA(0x1234), access: .write)))
            #expect(ground.engine.checkInvariants() == [])
        }
        #expect(ground.engine.arena.allocatedCount == before, "directories and PASID tables go with their last entry")
        #expect(ground.engine.attachmentKeys(of: one) == [AttachmentKey(one)])
    }

    @Test(arguments: UnitFlavour.tagged)
    func `an unmap reaches every PASID of the domain, a replace switches one`(flavour: UnitFlavour) throws {
        var ground = try start(flavour, spaces: 2)
        let machine = ground.engine.machine
        for number: UInt32 in [1, 70] { try ground.engine.attach(one, pasid: pasid(number), to: ground.hwpts[0]) }
        for number: UInt32 in [1, 70] {
            #expect(machine.dma(one, pasid: pasid(number), iova: IOVA(0x1000), access: .read) == reached(0))
        }
        try ground.engine.replace(one, pasid: pasid(70), with: ground.hwpts[1])
        #expect(machine.dma(one, pasid: pasid(70), iova: IOVA(0x1000), access: .read) == reached(1))
        #expect(machine.dma(one, pasid: pasid(1), iova: IOVA(0x1000), access: .read) == reached(0))
        _ = try ground.engine.unmap(ioas: ground.ioases[0], iova: IOVA(0x1000), byteCount: 0x2000)
        #expect(isFault(machine.dma(one, pasid: pasid(1), iova: IOVA(0x1000), access: .read)))
        #expect(machine.dma(one, pasid: pasid(70), iova: IOVA(0x1000), access: .read) == reached(1))
        #expect(ground.engine.checkInvariants() == [])
    }

    @Test func `what cannot be attached under a PASID is answered with its errno`() throws {
        var ground = try start(.vtdSecondStage, spaces: 1)
        let hwpt = ground.hwpts[0]
        func attach(_ requester: RequesterID, _ number: UInt32, _ engine: inout LiveEngine) -> Errno? {
            errno { () throws(Errno) in try engine.attach(requester, pasid: pasid(number), to: hwpt) }
        }
        #expect(attach(one, 0, &ground.engine) == .EINVAL)
        #expect(attach(TestMachine.rid("00:19.0"), 1, &ground.engine) == .ENODEV)
        #expect(attach(two, 1, &ground.engine) == .EINVAL, "no owner")
        #expect(attach(one, 1, &ground.engine) == nil)
        #expect(attach(one, 1, &ground.engine) == .EBUSY)
        #expect(errno { () throws(Errno) in try ground.engine.releaseOwner(GroupID(3)) } == .EBUSY)
        #expect(errno { () throws(Errno) in try ground.engine.attach(one, pasid: pasid(2), to: HWPTID(99)) } == .ENOENT)
        #expect(errno { () throws(Errno) in try ground.engine.detach(one, pasid: pasid(2)) } == .ENOENT)
        #expect(errno { () throws(Errno) in try ground.engine.replace(one, pasid: pasid(2), with: hwpt) } == .EINVAL)
        try ground.engine.claimOwner(GroupID(5), token: 7)
        #expect(attach(TestMachine.rid("01:00.0"), 1, &ground.engine) == .EOPNOTSUPP, "two devices in the group")
        #expect(ground.engine.checkInvariants() == [])

        var legacy = try start(.vtdLegacy, spaces: 1)
        #expect(
            errno { () throws(Errno) in try legacy.engine.attach(one, pasid: pasid(1), to: legacy.hwpts[0]) }
                == .EOPNOTSUPP)
        var device = TestMachine.device("00:03.0", group: 3)
        for bits in [0, 4] as [UInt8] {
            device.pasidBits = bits
            let machine = try TestMachine.make(devices: [device], units: [UnitFlavour.vtdSecondStage.description()])
            var small = try LiveEngine.start(machine) { _ in }
            let (_, hwpt) = try small.space(.vtdSecondStage)
            try small.claimOwner(GroupID(3), token: 7)
            let found = errno { () throws(Errno) in try small.attach(one, pasid: pasid(16), to: hwpt) }
            #expect(found == (bits == 0 ? .EOPNOTSUPP : .EINVAL))
        }
    }

    @Test func `host tables of AMD cannot stand behind a PASID, nor beside one`() throws {
        var engine = try LiveEngine.start(try UnitFlavour.amdV1.machine()) { _ in }
        let (_, host) = try engine.space(.amdV1)
        let (_, guest) = try engine.space(.amdV2)
        try engine.claimOwner(GroupID(3), token: 7)
        #expect(errno { () throws(Errno) in try engine.attach(one, pasid: pasid(1), to: host) } == .EINVAL)
        try engine.attach(one, pasid: pasid(1), to: guest)
        #expect(errno { () throws(Errno) in try engine.attach(one, to: host) } == .EINVAL)
        try engine.detach(one, pasid: pasid(1))
        try engine.attach(one, to: host)
        #expect(errno { () throws(Errno) in try engine.attach(one, pasid: pasid(1), to: guest) } == .EINVAL)
        #expect(engine.checkInvariants() == [])
    }

    @Test(arguments: [UnitFlavour.vtdSecondStage, .amdV2])
    func `untagged requests may pass through beside PASIDs`(flavour: UnitFlavour) throws {
        var ground = try start(flavour, spaces: 1)
        let machine = ground.engine.machine
        try ground.engine.attachIdentity(one)
        try ground.engine.attach(one, pasid: pasid(5), to: ground.hwpts[0])
        #expect(machine.dma(one, iova: IOVA(0x7000), access: .write) == .address(PhysicalAddress(0x7000)))
        #expect(machine.dma(one, pasid: pasid(5), iova: IOVA(0x1000), access: .write) == reached(0))
        #expect(ground.engine.checkInvariants() == [])
        try ground.engine.detach(one, pasid: pasid(5))
        #expect(machine.dma(one, iova: IOVA(0x7000), access: .write) == .address(PhysicalAddress(0x7000)))
        #expect(isFault(machine.dma(one, pasid: pasid(5), iova: IOVA(0x1000), access: .write)))
        #expect(ground.engine.checkInvariants() == [])
    }

    @Test(arguments: UnitFlavour.tagged)
    func `a device of which one PASID cannot be preserved is refused whole`(flavour: UnitFlavour) throws {
        var ground = try start(flavour, spaces: 3)
        try ground.engine.attach(one, to: ground.hwpts[0])
        for (index, number) in [UInt32(1), 64].enumerated() {
            try ground.engine.attach(one, pasid: pasid(number), to: ground.hwpts[index + 1])
        }
        try ground.engine.mark(ground.hwpts[0], token: 1)
        try ground.engine.mark(ground.hwpts[1], token: 2)
        let session = try ground.engine.createSession("s")
        let found = refusal { () throws(Refusal) in try ground.engine.preserve(one, in: session) }
        #expect(found == Refusal(.EOPNOTSUPP, .preservePASID, requester: one, pasid: pasid(64)))
        #expect(ground.engine.attachments.allSatisfy { $0.state == .live })
        #expect(ground.engine.ioases.allSatisfy { !$0.isImmutable })
        #expect(ground.engine.checkInvariants() == [])
    }

    @Test(arguments: UnitFlavour.tagged, 0...3)
    func `an attach that runs out of frames half-way leaves nothing behind`(flavour: UnitFlavour, left: Int) throws {
        var ground = try start(flavour, spaces: 2)
        try ground.engine.attach(one, pasid: pasid(1), to: ground.hwpts[0])
        let view = ground.engine.machine.memory.view
        var taken: [PhysicalAddress] = []
        while let frame = ground.engine.arena.allocate(memory: view) { taken.append(frame) }
        for frame in taken.suffix(left) { ground.engine.arena.free(frame) }
        let before = ground.engine.arena.allocatedCount
        // AMD needs two more GCR3 tables, VT-d one more PASID table.
        let found = errno { () throws(Errno) in
            try ground.engine.attach(one, pasid: pasid(0x8_0000), to: ground.hwpts[1])
        }
        let needed = flavour.isAMD ? 2 : 1
        #expect(found == (left < needed ? .ENOMEM : nil))
        #expect(ground.engine.arena.allocatedCount == before + (left < needed ? 0 : needed))
        // What this test holds is nobody's.
        #expect(ground.engine.checkInvariants().filter { !$0.hasSuffix("but nobody's") } == [])
        for frame in taken.dropLast(left) { ground.engine.arena.free(frame) }
        if found != nil { try ground.engine.attach(one, pasid: pasid(0x8_0000), to: ground.hwpts[1]) }
        #expect(ground.engine.checkInvariants() == [])
        #expect(ground.engine.machine.dma(one, pasid: pasid(0x8_0000), iova: IOVA(0x1000), access: .read) == reached(1))
    }

    @Test(arguments: UnitFlavour.tagged)
    func `a device's first attach that runs out of frames half-way leaves nothing behind`(flavour: UnitFlavour) throws {
        var ground = try start(flavour, spaces: 1)
        let unused = ground.engine.arena.allocatedCount
        try ground.engine.attach(one, pasid: pasid(1), to: ground.hwpts[0])
        let needed = ground.engine.arena.allocatedCount - unused
        try ground.engine.detach(one, pasid: pasid(1))
        let tags = ground.engine.cacheTagsInUse(on: TestMachine.unit)
        let view = ground.engine.machine.memory.view
        var taken: [PhysicalAddress] = []
        while let frame = ground.engine.arena.allocate(memory: view) { taken.append(frame) }
        taken.sort()
        // AMD: three GCR3 tables; VT-d: a context table, a directory of 32 pages, a PASID table.
        #expect(needed == (flavour.isAMD ? 3 : 34))
        for left in 0..<needed {
            let before = ground.engine.arena.allocatedCount
            #expect(
                errno { () throws(Errno) in try ground.engine.attach(one, pasid: pasid(1), to: ground.hwpts[0]) }
                    == .ENOMEM)
            #expect(ground.engine.arena.allocatedCount == before, "\(left)")
            #expect(ground.engine.cacheTagsInUse(on: TestMachine.unit) == tags)
            #expect(ground.engine.checkInvariants().filter { !$0.hasSuffix("but nobody's") } == [])
            ground.engine.arena.free(taken.removeLast())
        }
        try ground.engine.attach(one, pasid: pasid(1), to: ground.hwpts[0])
        for frame in taken { ground.engine.arena.free(frame) }
        #expect(ground.engine.checkInvariants() == [])
        #expect(ground.engine.machine.dma(one, pasid: pasid(1), iova: IOVA(0x1000), access: .read) == reached(0))
    }

    @Test func `a device tag goes with its quarantine's release, and host tables never stand under it`() throws {
        var ground = try start(.amdV2, spaces: 1)
        let unit = TestMachine.unit
        let before = ground.engine.cacheTagsInUse(on: unit)
        try ground.engine.attach(one, pasid: pasid(5), to: ground.hwpts[0])
        #expect(ground.engine.cacheTagsInUse(on: unit).count == before.count + 1)
        try ground.engine.quarantine(one)
        try ground.engine.release(one)
        #expect(ground.engine.cacheTagsInUse(on: unit) == before)
        #expect(ground.engine.checkInvariants() == [])
        // Untagged: from guest tables, under the device's tag, to host tables, under their domain's.
        try ground.engine.claimOwner(GroupID(3), token: 7)
        try ground.engine.attach(one, to: ground.hwpts[0])
        let ioas = try ground.engine.createIOAS()
        let host = try ground.engine.createHWPT(ioas: ioas, unit: unit, format: .amdV1)
        try ground.engine.replace(one, with: host)
        let tags = ground.engine.domain(ground.engine.hwpt(host)!.domain)?.cacheTags.map(\.cacheTag)
        #expect(tags == ground.engine.attachments.first { $0.key.requester == one }.flatMap(\.space).map { [$0.tag] })
        #expect(ground.engine.checkInvariants() == [])
    }
}
