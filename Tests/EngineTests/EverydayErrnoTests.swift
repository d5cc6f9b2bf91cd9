import IOMMUModel
import Testing

@testable import Engine

@Suite struct EverydayErrnoTests {
    /// Areas: 0x10000-0x13fff and 0x14000-0x17fff.
    private struct Start: ~Copyable {
        var engine: LiveEngine
        let ioas: IOASID
        let backing: BackingID
    }

    private func start() throws -> Start {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        let (ioas, hwpt) = try engine.space()
        let backing = try engine.addBacking(.memfd, base: TestMachine.buffer, byteCount: 0x100_0000)
        try engine.own(TestMachine.rid("00:03.0"), on: hwpt)
        for first in [0x10000, 0x14000] as [UInt64] {
            try engine.map(
                ioas: ioas, iova: IOVA(first), byteCount: 0x4000, backing: backing, offset: first,
                protection: .readWrite)
        }
        return Start(engine: engine, ioas: ioas, backing: backing)
    }

    struct MapCase: Sendable {
        var iova: UInt64
        var bytes: UInt64
        var offset: UInt64 = 0
        var protection: Protection = .readWrite
        var errno: Errno?
    }

    @Test(arguments: [
        MapCase(iova: 0x18000, bytes: 0x1000),
        MapCase(iova: 0xffff_ffff_f000, bytes: 0x1000),
        MapCase(iova: 0xfee0_0000 - 0x1000, bytes: 0x1000),
        MapCase(iova: 0xfef0_0000, bytes: 0x1000),
        MapCase(iova: 0x10000, bytes: 0x1000, errno: .EEXIST),
        MapCase(iova: 0xf000, bytes: 0x2000, errno: .EEXIST),
        MapCase(iova: 0x17000, bytes: 0x2000, errno: .EEXIST),
        MapCase(iova: 0, bytes: 0x100_0000, errno: .EEXIST),
        MapCase(iova: 0xfee0_0000, bytes: 0x1000, errno: .EINVAL),
        MapCase(iova: 0xfeef_f000, bytes: 0x2000, errno: .EINVAL),
        MapCase(iova: 0x1_0000_0000_0000, bytes: 0x1000, errno: .EINVAL),
        MapCase(iova: 0xffff_ffff_f000, bytes: 0x2000, errno: .EINVAL),
        MapCase(iova: 0xffff_ffff_ffff_f000, bytes: 0x2000, errno: .EOVERFLOW),
        MapCase(iova: 0x18000, bytes: 0, errno: .EINVAL),
        MapCase(iova: 0x18800, bytes: 0x1000, errno: .EINVAL),
        MapCase(iova: 0x18000, bytes: 0x800, errno: .EINVAL),
        MapCase(iova: 0x18000, bytes: 0x1000, offset: 0x800, errno: .EINVAL),
        MapCase(iova: 0x18000, bytes: 0x1000, protection: [], errno: .EINVAL),
        MapCase(iova: 0x18000, bytes: 0x2000, offset: 0xff_f000, errno: .EINVAL),
    ])
    func `map answers with iommufd's errno and leaves nothing behind`(_ c: MapCase) throws {
        let start = try start()
        let (ioas, backing) = (start.ioas, start.backing)
        var engine = start.engine
        let before = engine.ioas(ioas)!.areas
        let found = errno { () throws(Errno) in
            try engine.map(
                ioas: ioas, iova: IOVA(c.iova), byteCount: c.bytes, backing: backing, offset: c.offset,
                protection: c.protection)
        }
        #expect(found == c.errno)
        #expect(engine.ioas(ioas)!.areas.count == before.count + (c.errno == nil ? 1 : 0))
        #expect(engine.checkInvariants() == [])
    }

    @Test(
        arguments: [
            (0x10000, 0x4000, nil, 0x4000), (0x10000, 0x8000, nil, 0x8000), (0, 0x20000, nil, 0x8000),
            (0x10000, 0x3000, .ENOENT, 0), (0x11000, 0x7000, .ENOENT, 0), (0x10000, 0x5000, .ENOENT, 0),
            (0x18000, 0x1000, .ENOENT, 0), (0x10000, 0, .EINVAL, 0), (0x10800, 0x1000, .ENOENT, 0),
            (0xf800, 0x9000, nil, 0x8000), (0x10000, 0x3fff, .ENOENT, 0), (0x10000, 0x4001, .ENOENT, 0),
            (0, .max, nil, 0x8000), (2, .max, .EOVERFLOW, 0),
            (0xffff_ffff_ffff_f000, 0x2000, .EOVERFLOW, 0),
        ] as [(UInt64, UInt64, Errno?, UInt64)])
    func `unmap takes whole areas only`(iova: UInt64, bytes: UInt64, expected: Errno?, unmapped: UInt64) throws {
        let start = try start()
        let ioas = start.ioas
        var engine = start.engine
        var result: UInt64 = 0
        let found = errno { () throws(Errno) in
            result = try engine.unmap(ioas: ioas, iova: IOVA(iova), byteCount: bytes)
        }
        #expect(found == expected)
        #expect(result == unmapped)
        #expect(engine.ioas(ioas)!.areas.reduce(0) { $0 + $1.range.byteCount! } == 0x8000 - unmapped)
        #expect(engine.checkInvariants() == [])
    }

    @Test func `unmapping everything succeeds on an empty space too`() throws {
        let start = try start()
        let ioas = start.ioas
        var engine = start.engine
        #expect(try engine.unmap(ioas: ioas, iova: IOVA(0), byteCount: .max) == 0x8000)
        #expect(try engine.unmap(ioas: ioas, iova: IOVA(0), byteCount: .max) == 0)
        #expect(
            errno { () throws(Errno) in try engine.unmap(ioas: ioas, iova: IOVA(0), byteCount: 1 << 48) } == .ENOENT)
    }

    @Test func `nothing is mapped outside the allowed ranges, and a gap between two is outside`() throws {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        let allowed = [(0x0, 0xffff), (0x10000, 0x1ffff), (0x30000, 0x3ffff)].map {
            IOVARange(first: IOVA($0.0), last: IOVA($0.1))!
        }
        let ioas = try engine.createIOAS(allowed: allowed)
        let backing = try engine.addBacking(.physical)
        func map(_ iova: UInt64, _ bytes: UInt64) -> Errno? {
            errno { () throws(Errno) in
                try engine.map(
                    ioas: ioas, iova: IOVA(iova), byteCount: bytes, backing: backing, offset: 0x1000,
                    protection: .read)
            }
        }
        #expect(map(0xf000, 0x2000) == nil)
        #expect(map(0x1f000, 0x2000) == .EINVAL)
        #expect(map(0x1f000, 0x12000) == .EINVAL)
        #expect(map(0x3f000, 0x1000) == nil)
        #expect(map(0x40000, 0x1000) == .EINVAL)
        #expect(map(0x3f000, 0x2000) == .EINVAL, "what may not be mapped at all is asked before what is mapped")
    }

    @Test func `attaching refuses what the IOAS maps in a reserved region, and the region is free after the detach`()
        throws
    {
        let region = ReservedRegion(
            group: GroupID(3), kind: .reserved, range: IOVARange(first: IOVA(0x5000), last: IOVA(0x5fff))!)
        let relaxed = ReservedRegion(
            group: GroupID(3), kind: .directRelaxable, range: IOVARange(first: IOVA(0x7000), last: IOVA(0x7fff))!)
        var engine = try LiveEngine.start(try TestMachine.make(reserved: [region, relaxed])) { _ in }
        let (ioas, hwpt) = try engine.space()
        let backing = try engine.addBacking(.physical)
        let device = TestMachine.rid("00:03.0")
        func map(_ iova: UInt64) -> Errno? {
            errno { () throws(Errno) in
                try engine.map(
                    ioas: ioas, iova: IOVA(iova), byteCount: 0x1000, backing: backing, offset: 0, protection: .read)
            }
        }
        #expect(map(0x5000) == nil)
        try engine.claimOwner(GroupID(3), token: 1)
        #expect(errno { () throws(Errno) in try engine.attach(device, to: hwpt) } == .EADDRINUSE)
        try engine.unmap(ioas: ioas, iova: IOVA(0x5000), byteCount: 0x1000)
        try engine.attach(device, to: hwpt)
        #expect(map(0x5000) == .EINVAL)
        #expect(map(0x7000) == nil)
        try engine.detach(device)
        #expect(map(0x5000) == nil)
        #expect(engine.checkInvariants() == [])
    }

    @Test func `attach, detach, replace and the owner answer with their errno`() throws {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        let (_, hwpt) = try engine.space()
        let (_, other) = try engine.space()
        let one = TestMachine.rid("00:03.0")
        let first = TestMachine.rid("01:00.0")
        let second = TestMachine.rid("01:00.1")
        #expect(errno { () throws(Errno) in try engine.attach(one, to: hwpt) } == .EINVAL)
        #expect(errno { () throws(Errno) in try engine.attach(TestMachine.rid("09:00.0"), to: hwpt) } == .ENODEV)
        #expect(errno { () throws(Errno) in try engine.attach(one, to: HWPTID(99)) } == .ENOENT)
        #expect(errno { () throws(Errno) in try engine.claimOwner(GroupID(99), token: 1) } == .ENOENT)
        try engine.claimOwner(GroupID(3), token: 1)
        #expect(errno { () throws(Errno) in try engine.claimOwner(GroupID(3), token: 1) } == nil)
        #expect(errno { () throws(Errno) in try engine.claimOwner(GroupID(3), token: 2) } == .EBUSY)
        #expect(errno { () throws(Errno) in try engine.attach(one, pasid: PASID(1), to: hwpt) } == .EOPNOTSUPP)
        #expect(errno { () throws(Errno) in try engine.detach(one) } == .ENOENT)
        #expect(errno { () throws(Errno) in try engine.replace(one, with: hwpt) } == .EINVAL)
        try engine.attach(one, to: hwpt)
        #expect(errno { () throws(Errno) in try engine.attach(one, to: hwpt) } == .EBUSY)
        #expect(errno { () throws(Errno) in try engine.attach(one, to: other) } == .EINVAL)
        #expect(errno { () throws(Errno) in try engine.releaseOwner(GroupID(3)) } == .EBUSY)
        #expect(errno { () throws(Errno) in try engine.destroyHWPT(hwpt) } == .EBUSY)
        try engine.replace(one, with: other)
        try engine.destroyHWPT(hwpt)

        try engine.own(first, on: other)
        #expect(engine.attachment(second)!.domain == engine.attachment(first)!.domain)
        let (_, third) = try engine.space()
        #expect(errno { () throws(Errno) in try engine.replace(second, with: third) } == .EINVAL, "not attached itself")
        #expect(engine.group(GroupID(5))!.hwpt == other)
        try engine.attach(second, to: other)
        try engine.detach(first)
        #expect(engine.domain(engine.attachment(first)!.domain)!.kind == .paging)
        try engine.detach(second)
        #expect(engine.domain(engine.attachment(first)!.domain)!.kind == .blocked)
        try engine.releaseOwner(GroupID(5))
        #expect(errno { () throws(Errno) in try engine.releaseOwner(GroupID(5)) } == .EINVAL)
        #expect(engine.checkInvariants() == [])
    }

    @Test func `a replace takes the group's reservations along`() throws {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        let (old, first) = try engine.space()
        let (new, second) = try engine.space()
        let backing = try engine.addBacking(.physical)
        let device = TestMachine.rid("00:03.0")
        try engine.own(device, on: first)
        func map(_ ioas: IOASID) -> Errno? {
            errno { () throws(Errno) in
                try engine.map(
                    ioas: ioas, iova: IOVA(0xfee0_0000), byteCount: 0x1000, backing: backing, offset: 0,
                    protection: .read)
            }
        }
        #expect(map(old) == .EINVAL)
        try engine.replace(device, with: second)
        #expect(map(new) == .EINVAL)
        #expect(map(old) == nil)
        #expect(errno { () throws(Errno) in try engine.replace(device, with: first) } == .EADDRINUSE)
        #expect(engine.group(GroupID(3))!.hwpt == second)
        #expect(engine.checkInvariants() == [])
    }

    @Test func `an attach that fails at a group's second device leaves the first one where it was`() throws {
        // One context table fits: root table, the tables' root, and one frame more.
        let arena = PhysicalRange(first: PhysicalAddress(0x20_0000), bytes: 4096 * 3)!
        let devices = [TestMachine.device("01:00.0", group: 5), TestMachine.device("02:00.0", group: 5)]
        var engine = try LiveEngine.start(try TestMachine.make(devices: devices, arena: arena)) { _ in }
        let (ioas, hwpt) = try engine.space()
        let reserved = engine.ioas(ioas)!.reserved
        try engine.claimOwner(GroupID(5), token: 1)
        let attachments = engine.attachments
        #expect(errno { () throws(Errno) in try engine.attach(devices[0].requester, to: hwpt) } == .ENOMEM)
        #expect(engine.attachments == attachments)
        #expect(engine.group(GroupID(5))!.hwpt == nil)
        #expect(engine.ioas(ioas)!.reserved == reserved)
        #expect(engine.arena.availableCount == 1)
        #expect(engine.checkInvariants() == [])
        try engine.destroyHWPT(hwpt)
    }

    @Test func `a group that a kernel driver owns cannot be claimed, nor one that must not be blocked`() throws {
        var devices = TestMachine.devices
        devices[0].driver = "e1000e"
        let region = ReservedRegion(
            group: GroupID(4), kind: .direct, range: IOVARange(first: IOVA(0x8000), last: IOVA(0x8fff))!)
        var engine = try LiveEngine.start(try TestMachine.make(devices: devices, reserved: [region])) { _ in }
        #expect(errno { () throws(Errno) in try engine.claimOwner(GroupID(3), token: 1) } == .EBUSY)
        #expect(errno { () throws(Errno) in try engine.claimOwner(GroupID(4), token: 1) } == .EINVAL)
        #expect(engine.domain(engine.attachment(TestMachine.rid("00:04.0"))!.domain)!.kind == .identity)
    }

    @Test func `a map that runs out of frames leaves every table as it was`() throws {
        let arena = PhysicalRange(first: PhysicalAddress(0x20_0000), bytes: 4096 * 10)!
        var engine = try LiveEngine.start(try TestMachine.make(arena: arena)) { _ in }
        let ioas = try engine.createIOAS()
        // Root table 1, two roots 2: seven frames are left. Three tables for each of two HWPTs fit; of the next two one
        // does, so the first HWPT is mapped and must be unmapped again when the second fails.
        _ = try engine.createHWPT(ioas: ioas, unit: TestMachine.unit)
        _ = try engine.createHWPT(ioas: ioas, unit: TestMachine.unit)
        let backing = try engine.addBacking(.physical)
        func map(_ iova: UInt64) -> Errno? {
            errno { () throws(Errno) in
                try engine.map(
                    ioas: ioas, iova: IOVA(iova), byteCount: 0x1000, backing: backing, offset: 0x9000,
                    protection: .read)
            }
        }
        #expect(map(0x1000) == nil)
        #expect(map(0x20_0000) == .ENOMEM)
        #expect(engine.ioas(ioas)!.areas.count == 1)
        #expect(engine.checkInvariants() == [])
        #expect(map(0x2000) == nil)
    }

    @Test func `every operation appends one event, the failed ones with their errno`() throws {
        let log = EventLog()
        var engine = try LiveEngine.start(try TestMachine.make(), sink: log.sink)
        let ioas = try engine.createIOAS()
        _ = errno { () throws(Errno) in try engine.unmap(ioas: ioas, iova: IOVA(0), byteCount: 0x1000) }
        _ = refusal { () throws(Refusal) in
            try engine.preserve(TestMachine.rid("00:03.0"), in: SessionID(77))
        }
        #expect(log.events.map(\.name) == ["start", "create-ioas", "unmap", "preserve"])
        #expect(log.events.map(\.errno) == [nil, nil, .ENOENT, .ENOENT])
        #expect(log.events.map(\.sequence) == [1, 2, 3, 4])
        #expect(log.events[1]["ioas"] == ioas.description)
        #expect(log.events.allSatisfy { Event.arguments(fromText: $0.argumentText) == $0.arguments })
    }
}
