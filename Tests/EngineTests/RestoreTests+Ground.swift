import IOMMUModel
import PageTables
import Testing

@testable import Engine

extension RestoreTests {
    var one: RequesterID { TestMachine.rid("00:03.0") }
    var two: RequesterID { TestMachine.rid("00:04.0") }
    var through: RequesterID { TestMachine.rid("02:00.0") }

    /// What a record of the old engine would say.
    struct Handed {
        var machine: Machine
        var root: PhysicalAddress
        var geometry: RestoringEngine.Geometry
        var tag: UInt32
        var identityTag: UInt32
        var pages: [PhysicalRange]
    }

    func handOver(both: Bool = true, devices: [MachineDevice] = TestMachine.devices) throws -> Handed {
        var engine = try LiveEngine.start(
            try TestMachine.make(devices: devices), configuration: .init(defaultDomain: .identity)
        ) { _ in }
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
        if both { try engine.preserve(two, in: session) }
        let through = devices.last!.requester
        let group = try unwrapped(engine.group(of: through)?.id)
        try engine.claimOwner(group, token: 1)
        try engine.releaseOwner(group)
        try engine.preserve(through, in: session, options: .init(lab: true))
        let domain = try unwrapped(engine.domain(engine.hwpt(hwpt)!.domain))
        let shape = try #require(domain.table?.configuration)
        let pages = engine.tablePages(of: domain.id).map { PhysicalRange(first: $0.address, bytes: 4096)! }
        let identity = try unwrapped(engine.domain(engine.attachment(through)!.domain)?.cacheTags.first)
        let root = try unwrapped(engine.lookupPages(of: TestMachine.unit).first { $0.kind == .vtdRoot }?.address)
        guard case .frozen(let frozen) = engine.freeze() else { throw Errno.EIO }
        return Handed(
            machine: frozen.jump(), root: root,
            geometry: .init(
                root: domain.table!.root, topLevel: UInt8(shape.topLevel), addressBits: UInt8(shape.addressBits)),
            tag: domain.cacheTags[0].cacheTag, identityTag: identity.cacheTag, pages: pages)
    }

    struct Restored: ~Copyable {
        var engine: LiveEngine
        let session: SessionID
        let domain: DomainID
    }

    func restore(_ handed: Handed, attach: [RequesterID]? = nil) throws -> Restored {
        var restoring = try RestoringEngine(machine: handed.machine, source: .handedOver) { _ in }
        let session = try restoring.addSession("s")
        try restoring.takeOver(unit: TestMachine.unit, root: handed.root)
        restoring.hold(frames: handed.pages)
        try restoring.reserveTag(unit: TestMachine.unit, tag: handed.tag)
        try restoring.reserveTag(unit: TestMachine.unit, tag: handed.identityTag)
        let domain = try restoring.adoptDomain(
            kind: .paging, geometry: handed.geometry,
            on: TestMachine.unit, cacheTags: [.init(unit: TestMachine.unit, cacheTag: handed.tag)], token: 5,
            session: session)
        let identity = try restoring.adoptDomain(
            kind: .identity, on: TestMachine.unit,
            cacheTags: [.init(unit: TestMachine.unit, cacheTag: handed.identityTag)])
        for device in attach ?? [one, two] {
            try restoring.attachRestored(device, domain: domain, session: session, ownerToken: 9)
        }
        let through = handed.machine.devices.last!.requester
        try restoring.attachRestored(through, domain: identity, session: session, ownerToken: 9)
        return Restored(engine: try restoring.start(), session: session, domain: domain)
    }

    func reaches(_ machine: Machine, _ device: RequesterID) -> Bool {
        machine.dma(device, iova: IOVA(0x1008), access: .write) == .address(PhysicalAddress(0x4008))
    }
}
