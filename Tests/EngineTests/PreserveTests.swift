import IOMMUModel
import Testing

@testable import Engine

@Suite struct PreserveTests {
    private let one = TestMachine.rid("00:03.0")
    private let two = TestMachine.rid("00:04.0")
    private let many = TestMachine.rid("01:00.0")

    /// Everything is wrong with 01:00.0: the guards are asked in the order of lifecycle.md, and each answer is taken
    /// away in turn.
    @Test func `the guards are asked in their order`() throws {
        var device = TestMachine.device("01:00.0", group: 5)
        var sibling = TestMachine.device("01:00.1", group: 5)
        (device.hasFunction, device.atsEnabled) = (false, true)
        func answer(lab: Bool = false, claim: Bool = false) throws -> Refusal? {
            var engine = try LiveEngine.start(try TestMachine.make(devices: [device, sibling])) { _ in }
            let session = try engine.createSession("s")
            if claim { try engine.claimOwner(GroupID(5), token: 1) }
            return refusal { () throws(Refusal) in
                try engine.preserve(device.requester, in: session, options: .init(lab: lab))
            }
        }
        #expect(try answer() == Refusal(.ENODEV, .preserveNoFunction, requester: many))
        #expect(try answer(lab: true) == Refusal(.ENODEV, .preserveNoFunction, requester: many))
        device.hasFunction = true
        #expect(try answer() == Refusal(.EOPNOTSUPP, .preserveATS, requester: many))
        (device.atsEnabled, device.priEnabled) = (false, true)
        #expect(try answer() == Refusal(.EOPNOTSUPP, .preserveATS, requester: many))
        #expect(try answer(lab: true) == Refusal(.EINVAL, .preserveDomain, requester: many))
        device.priEnabled = false
        #expect(try answer() == Refusal(.EOPNOTSUPP, .preserveGroup, requester: many))
        sibling.group = GroupID(6)
        #expect(try answer() == Refusal(.EINVAL, .preserveOwner, requester: many))
        #expect(try answer(claim: true) == Refusal(.EINVAL, .preserveDomain, requester: many))
    }

    @Test func `an HWPT must be marked, its memory files sealed, and what fails leaves the IOAS mutable`() throws {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        let (ioas, hwpt) = try engine.space()
        try engine.own(one, on: hwpt)
        let file = try engine.addBacking(.memfd, base: TestMachine.buffer, byteCount: 0x10000, sealed: false)
        let session = try engine.createSession("s")
        try engine.map(
            ioas: ioas, iova: IOVA(0), byteCount: 0x1000, backing: file, offset: 0, protection: .readWrite)
        func preserve() -> Refusal? {
            refusal { () throws(Refusal) in try engine.preserve(one, in: session) }
        }
        #expect(preserve() == Refusal(.EINVAL, .preserveDomain, requester: one))
        try engine.mark(hwpt, token: 5)
        #expect(preserve() == Refusal(.EINVAL, .preserveDomain, requester: one))
        #expect(engine.ioas(ioas)!.isImmutable == false)
        #expect(engine.domain(engine.hwpt(hwpt)!.domain)!.holder == .iommufd)
        try engine.sealBacking(file)
        #expect(preserve() == nil)
        #expect(engine.ioas(ioas)!.isImmutable)
        #expect(engine.domain(engine.hwpt(hwpt)!.domain)!.holder == .session)
        #expect(preserve() == Refusal(.EBUSY, requester: one))
        #expect(engine.checkInvariants() == [])
    }

    @Test func `mark refuses a taken token and a preserved HWPT`() throws {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        let (_, hwpt) = try engine.space()
        let (_, other) = try engine.space()
        try engine.mark(hwpt, token: 5)
        #expect(errno { () throws(Errno) in try engine.mark(other, token: 5) } == .EADDRINUSE)
        try engine.mark(hwpt, token: 6)
        try engine.mark(other, token: 5)
        #expect(errno { () throws(Errno) in try engine.mark(HWPTID(99), token: 5) } == .ENOENT)
        try engine.own(one, on: hwpt)
        let session = try engine.createSession("s")
        try engine.preserve(one, in: session)
        #expect(errno { () throws(Errno) in try engine.mark(hwpt, token: 7) } == .EBUSY)
    }

    @Test func `what is preserved answers EBUSY to every change, until it is unpreserved`() throws {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        let (ioas, hwpt) = try engine.space()
        let (_, other) = try engine.space()
        let backing = try engine.addBacking(.physical)
        try engine.own(one, on: hwpt)
        try engine.claimOwner(GroupID(4), token: 1)
        try engine.map(
            ioas: ioas, iova: IOVA(0), byteCount: 0x1000, backing: backing, offset: 0, protection: .readWrite)
        try engine.mark(hwpt, token: 5)
        let session = try engine.createSession("s")
        #expect(errno { () throws(Errno) in _ = try engine.createSession("s") } == .EEXIST)
        #expect(errno { () throws(Errno) in _ = try engine.createSession("") } == .EINVAL)
        #expect(errno { () throws(Errno) in _ = try engine.createSession(.init(repeating: "x", count: 64)) } == .EINVAL)
        try engine.preserve(one, in: session)
        func answers() -> [Errno?] {
            [
                errno { () throws(Errno) in
                    try engine.map(
                        ioas: ioas, iova: IOVA(0x5000), byteCount: 0x1000, backing: backing, offset: 0,
                        protection: .read)
                },
                errno { () throws(Errno) in try engine.unmap(ioas: ioas, iova: IOVA(0x5000), byteCount: 0x1000) },
                errno { () throws(Errno) in
                    let new = try engine.createHWPT(ioas: ioas, unit: TestMachine.unit)
                    try engine.destroyHWPT(new)
                },
                errno { () throws(Errno) in
                    try engine.attach(two, to: hwpt)
                    try engine.detach(two)
                },
                errno { () throws(Errno) in
                    try engine.replace(one, with: other)
                    try engine.replace(one, with: hwpt)
                },
                errno { () throws(Errno) in
                    try engine.detach(one)
                    try engine.attach(one, to: hwpt)
                },
            ]
        }
        #expect(answers() == [.EBUSY, .EBUSY, .EBUSY, .EBUSY, .EBUSY, .EBUSY])
        #expect(engine.checkInvariants() == [])
        try engine.closeSession(session)
        #expect(engine.ioas(ioas)!.isImmutable == false)
        #expect(answers() == [nil, nil, nil, nil, nil, nil])
        #expect(errno { () throws(Errno) in try engine.unpreserve(one) } == .ENOENT)
        #expect(engine.checkInvariants() == [])
    }

    @Test func `two devices of one domain keep the IOAS immutable until both are unpreserved`() throws {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        let (ioas, hwpt) = try engine.space()
        try engine.own(one, on: hwpt)
        try engine.own(two, on: hwpt)
        try engine.mark(hwpt, token: 5)
        let session = try engine.createSession("s")
        try engine.preserve(one, in: session)
        try engine.preserve(two, in: session)
        #expect(engine.checkInvariants() == [])
        try engine.unpreserve(one)
        #expect(engine.ioas(ioas)!.isImmutable)
        try engine.unpreserve(two)
        #expect(!engine.ioas(ioas)!.isImmutable)
    }

    @Test func `a pass-through device is preservable, and lab skips ATS, group and owner`() throws {
        var devices = TestMachine.devices
        devices[2].atsEnabled = true
        var engine = try LiveEngine.start(
            try TestMachine.make(devices: devices), configuration: .init(defaultDomain: .identity)
        ) { _ in }
        let session = try engine.createSession("s")
        try engine.preserve(many, in: session, options: .init(lab: true))
        #expect(engine.attachment(many)!.isLab)
        #expect(engine.attachment(many)!.state == .preserved)
        #expect(engine.freezeObstacle() == nil)
    }
}
