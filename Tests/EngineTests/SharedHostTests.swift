import Hardware
import IOMMUModel
import PageTables
import Testing

@testable import Engine

/// AMD: one device table entry names the host tables of all nested requests of a device.
@Suite struct SharedHostTests {
    private let one = TestMachine.rid("00:03.0")
    private let two = TestMachine.rid("00:04.0")
    /// Behind a unit that walks four levels only.
    private let small = TestMachine.rid("02:00.0")
    private static let tags: [PASID?] = [nil, PASID(1)!, PASID(0x4_0000)!]

    /// Where the guest's memory lies in the host's: its address 0 is this.
    private static let guestBase: UInt64 = 0x300_0000
    private static let guestBytes: UInt64 = 0x10_0000

    private struct Ground: ~Copyable {
        var engine: LiveEngine
        let backing: BackingID
        let ioas: IOASID
        let host: HWPTID
        /// One for each of ``tags``.
        var guests: [HWPTID] = []

        var machine: Machine { engine.machine }
        /// The host tables.
        func table(_ hwpt: HWPTID? = nil) -> PageTable {
            engine.domain(engine.hwpt(hwpt ?? host)!.domain)!.table!
        }
    }

    /// A host space that maps the guest's memory, and a nested HWPT for each of ``tags``: guest tables n map 0x40_0000 to
    /// guest address 0x8_0000 + n * 4096.
    private func start() throws -> Ground {
        let unit = UnitFlavour.amdV1.description()
        var other = UnitFlavour.amdV1.description(UnitID(2))
        other.registers = other.registers.map {
            $0.name == "efr" ? .init("efr", AMDExtendedFeatures(hostLevels: 4, guestLevels: 4).rawValue) : $0
        }
        let devices = TestMachine.devices.map { device in
            var device = device
            device.pasidBits = 20
            if device.requester == small { device.unit = UnitID(2) }
            return device
        }
        let machine = try TestMachine.make(devices: devices, units: [unit, other])
        var engine = try LiveEngine.start(machine) { _ in }
        let (ioas, host) = try engine.space(.amdV1)
        let backing = try engine.addBacking(.physical)
        for group: UInt32 in [3, 4, 6] { try engine.claimOwner(GroupID(group), token: 7) }
        for number in 0..<UInt64(Self.tags.count) {
            let root = number << 14
            for (page, index, word) in [
                (root, 0, root + 0x1000), (root + 0x1000, 0, root + 0x2000), (root + 0x2000, 2, root + 0x3000),
                (root + 0x3000, 0, 0x8_0000 + number << 12),
            ] as [(UInt64, UInt64, UInt64)] {
                #expect(machine.memory.setWord(word | 0x67, at: PhysicalAddress(Self.guestBase + page + index * 8)))
            }
        }
        var ground = Ground(engine: engine, backing: backing, ioas: ioas, host: host)
        try mapGuest(ioas, &ground)
        ground.guests = try nest(host, &ground)
        return ground
    }

    private func mapGuest(_ ioas: IOASID, _ ground: inout Ground) throws {
        try ground.engine.map(
            ioas: ioas, iova: IOVA(0), byteCount: Self.guestBytes, backing: ground.backing, offset: Self.guestBase,
            protection: .readWrite)
    }

    /// Nested HWPTs over `host`, for each of ``tags``.
    private func nest(_ host: HWPTID, _ ground: inout Ground) throws -> [HWPTID] {
        var made: [HWPTID] = []
        for number in Self.tags.indices {
            made.append(
                try ground.engine.createNestedHWPT(
                    parent: host, unit: TestMachine.unit, root: PhysicalAddress(UInt64(number) << 14)))
        }
        return made
    }

    /// A second host space with the guest's memory, and nested HWPTs over it.
    private func another(_ ground: inout Ground) throws -> (host: HWPTID, guests: [HWPTID]) {
        let (ioas, host) = try ground.engine.space(.amdV1)
        try mapGuest(ioas, &ground)
        return (host, try nest(host, &ground))
    }

    private func attachAll(_ requester: RequesterID, _ ground: inout Ground) throws {
        for (pasid, hwpt) in zip(Self.tags, ground.guests) {
            try ground.engine.attach(requester, pasid: pasid, to: hwpt)
        }
    }

    private func targets(_ guests: [HWPTID]) -> [PASID?: HWPTID] {
        Dictionary(uniqueKeysWithValues: zip(Self.tags, guests))
    }

    /// Every one of ``tags`` reaches what its guest's tables say.
    private func expectReached(
        _ requester: RequesterID, _ machine: Machine, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for (number, pasid) in Self.tags.enumerated() {
            let wanted = PhysicalAddress(Self.guestBase + 0x8_0123 + UInt64(number) << 12)
            let outcome = machine.dma(requester, pasid: pasid, iova: IOVA(0x40_0123), access: .read)
            #expect(outcome == .address(wanted), sourceLocation: sourceLocation)
        }
    }

    private func deviceEntry(_ requester: RequesterID, _ machine: Machine) throws -> DeviceEntry? {
        let device = try #require(machine.device(requester))
        return machine.unit(device.unit)?.lookupTables(memory: machine.memory.view).deviceEntry(device)
    }

    @Test func `host tables that grow do so below every nested request, and every direct one`() throws {
        var ground = try start()
        try attachAll(one, &ground)
        try ground.engine.attach(two, to: ground.host)
        try ground.engine.attach(small, pasid: PASID(7)!, to: ground.guests[1])
        let before = ground.table()
        for bits: UInt64 in [40, 47] {
            let iova = IOVA(1 << bits)
            try ground.engine.map(
                ioas: ground.ioas, iova: iova, byteCount: 0x1000, backing: ground.backing,
                offset: TestMachine.buffer.rawValue, protection: .readWrite)
            #expect(ground.machine.dma(two, iova: iova, access: .write) == .address(TestMachine.buffer))
            expectReached(one, ground.machine)
            #expect(ground.engine.checkInvariants() == [])
        }
        #expect(ground.table().root != before.root && ground.table().configuration.topLevel == 3)
        for (number, pasid) in Self.tags.enumerated().reversed() {
            try ground.engine.detach(one, pasid: pasid)
            try ground.engine.attach(one, pasid: pasid, to: ground.guests[number])
        }
        expectReached(one, ground.machine)
        #expect(ground.engine.checkInvariants() == [])
    }

    /// The device behind that unit is on the same tables, or on those of another HWPT of the space, which are published
    /// when the first ones are already.
    @Test(arguments: [false, true])
    func `host tables that one unit cannot walk so far do not grow at all`(hasOwnTables: Bool) throws {
        var ground = try start()
        try attachAll(one, &ground)
        try ground.engine.attach(two, to: ground.host)
        let last = hasOwnTables ? try ground.engine.createHWPT(ioas: ground.ioas, unit: TestMachine.unit) : ground.host
        try ground.engine.attach(small, to: last)
        let devices = [one, two, small]
        let entries = try devices.map { try deviceEntry($0, ground.machine) }
        let table = ground.table()
        let frames = ground.engine.arena.allocatedFrames
        let found = errno { () throws(Errno) in
            try ground.engine.map(
                ioas: ground.ioas, iova: IOVA(1 << 50), byteCount: 0x3000, backing: ground.backing,
                offset: TestMachine.buffer.rawValue, protection: .readWrite)
        }
        #expect(found == .EINVAL)
        #expect(ground.table() == table)
        #expect(ground.engine.arena.allocatedFrames == frames)
        #expect(try devices.map { try deviceEntry($0, ground.machine) } == entries)
        expectReached(one, ground.machine)
        #expect(ground.engine.checkInvariants() == [])
        // Without the device behind that unit they do.
        try ground.engine.detach(small)
        try ground.engine.map(
            ioas: ground.ioas, iova: IOVA(1 << 50), byteCount: 0x3000, backing: ground.backing,
            offset: TestMachine.buffer.rawValue, protection: .readWrite)
        expectReached(one, ground.machine)
        #expect(ground.engine.checkInvariants() == [])
    }

    /// The second HWPT of the space finds no frame when the first one's tables have grown: once below entries that stay as
    /// they are, once with a leaf in the place of the whole empty root.
    @Test(arguments: [false, true])
    func `tables that grew go back when another HWPT of the space runs out of frames`(isWhole: Bool) throws {
        var ground = try start()
        let pasid = PASID(1)!
        try ground.engine.attach(one, pasid: pasid, to: ground.guests[1])
        _ = try ground.engine.createHWPT(ioas: ground.ioas, unit: TestMachine.unit, format: .x86_64)
        if isWhole { _ = try ground.engine.unmap(ioas: ground.ioas, iova: IOVA(0), byteCount: Self.guestBytes) }
        let table = ground.table()
        let entry = try deviceEntry(one, ground.machine)
        let view = ground.machine.memory.view
        var taken: [PhysicalAddress] = []
        while let frame = ground.engine.arena.allocate(memory: view) { taken.append(frame) }
        // As many as the first HWPT needs; with the whole root gone the second one would get its frame.
        for frame in taken.suffix(isWhole ? 1 : 4) { ground.engine.arena.free(frame) }
        let before = ground.engine.arena.allocatedCount
        let found = errno { () throws(Errno) in
            try ground.engine.map(
                ioas: ground.ioas, iova: IOVA(isWhole ? 0 : 1 << 40), byteCount: isWhole ? 2 << 39 : 0x1000,
                backing: ground.backing, offset: 0, protection: .readWrite)
        }
        #expect(found == .ENOMEM)
        #expect(ground.engine.arena.allocatedCount == before)
        #expect(ground.table().configuration == table.configuration)
        if !isWhole {
            #expect(ground.table() == table)
            #expect(try deviceEntry(one, ground.machine) == entry)
        }
        for frame in taken { ground.engine.arena.free(frame) }
        #expect(ground.engine.checkInvariants() == [])
        if isWhole { try mapGuest(ground.ioas, &ground) }
        let outcome = ground.machine.dma(one, pasid: pasid, iova: IOVA(0x40_0000), access: .read)
        #expect(outcome == .address(PhysicalAddress(Self.guestBase + 0x8_1000)))
        #expect(ground.engine.checkInvariants() == [])
    }

    @Test func `the nested requests of a device go to other host tables together, or not at all`() throws {
        var ground = try start()
        try attachAll(one, &ground)
        let key = AttachmentKey(one, Self.tags[1])
        #expect(ground.engine.requestsSharingHost(with: key) == Self.tags.map { AttachmentKey(one, $0) })
        let (host, guests) = try another(&ground)
        // Alone none of them can be moved, and none attached.
        #expect(
            errno { () throws(Errno) in try ground.engine.replace(one, pasid: key.pasid, with: guests[1]) } == .EINVAL)
        #expect(errno { () throws(Errno) in try ground.engine.replace(one, with: guests[0]) } == .EINVAL)
        #expect(
            errno { () throws(Errno) in try ground.engine.attach(one, pasid: PASID(9)!, to: guests[0]) } == .EINVAL)
        // Neither can some of them, to several parents, to another guest's tables, or to no nested HWPT.
        var some = targets(guests)
        some[key.pasid] = nil
        var several = targets(guests)
        several[key.pasid] = ground.guests[1]
        var crossed = targets(guests)
        crossed[key.pasid] = guests[2]
        var direct = targets(guests)
        direct[key.pasid] = host
        for wrong in [some, several, crossed, direct, [:]] {
            #expect(errno { () throws(Errno) in try ground.engine.replace(one, with: wrong) } == .EINVAL)
            #expect(ground.engine.checkInvariants() == [])
        }
        direct[key.pasid] = HWPTID(99)
        #expect(errno { () throws(Errno) in try ground.engine.replace(one, with: direct) } == .ENOENT)
        #expect(errno { () throws(Errno) in try ground.engine.replace(small, with: targets(guests)) } == .EINVAL)
        expectReached(one, ground.machine)

        try ground.engine.replace(one, with: targets(guests))
        expectReached(one, ground.machine)
        #expect(ground.engine.checkInvariants() == [])
        #expect(ground.engine.group(GroupID(3))?.hwpt == guests[0])
        for hwpt in ground.guests { try ground.engine.destroyHWPT(hwpt) }
        _ = try ground.engine.unmap(ioas: ground.ioas, iova: IOVA(0), byteCount: .max)
        expectReached(one, ground.machine)
        // The last one that is left moves alone.
        try ground.engine.detach(one)
        try ground.engine.detach(one, pasid: key.pasid)
        try mapGuest(ground.ioas, &ground)
        let back = try nest(ground.host, &ground)
        try ground.engine.replace(one, pasid: Self.tags[2], with: back[2])
        #expect(ground.engine.checkInvariants() == [])
    }

    @Test func `a unit that cannot walk the new host tables keeps the device on the old ones`() throws {
        var ground = try start()
        try attachAll(small, &ground)
        let (ioas, host) = try ground.engine.space(.amdV1)
        try mapGuest(ioas, &ground)
        let guests = try nest(host, &ground)
        try ground.engine.map(
            ioas: ioas, iova: IOVA(1 << 50), byteCount: 0x1000, backing: ground.backing, protection: .read)
        let reservations = ground.engine.ioas(ioas)?.reserved
        #expect(errno { () throws(Errno) in try ground.engine.replace(small, with: targets(guests)) } == .EINVAL)
        #expect(ground.engine.ioas(ioas)?.reserved == reservations)
        expectReached(small, ground.machine)
        #expect(ground.engine.checkInvariants() == [])
    }

    @Test func `untagged requests do not pass unchanged beside nested ones`() throws {
        var ground = try start()
        let pasid = Self.tags[1]!
        try ground.engine.attach(one, pasid: pasid, to: ground.guests[1])
        #expect(errno { () throws(Errno) in try ground.engine.attachIdentity(one) } == .EINVAL)
        let outcome = ground.machine.dma(one, pasid: pasid, iova: IOVA(0x40_0000), access: .read)
        #expect(outcome == .address(PhysicalAddress(Self.guestBase + 0x8_1000)))
        #expect(ground.engine.checkInvariants() == [])
    }
}
