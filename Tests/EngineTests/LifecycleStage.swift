import IOMMUModel
import PageTables
import Testing

@testable import Engine

/// A device, 00:03.0, brought into one state of the lifecycle by what an engine is asked, one kernel after the other.
struct LifecycleStage: ~Copyable {
    static let device = TestMachine.rid("00:03.0")
    static let group = GroupID(3)
    static let token: UInt64 = 5
    private static let iova = IOVA(0x1000)
    private static let bytes: UInt64 = 0x2000
    static let file = PhysicalAddress(0x10_0000_0000)
    /// An object that nobody made.
    private static let nobody: UInt32 = 9999

    let flavour: UnitFlavour
    var engine: LiveEngine
    /// The session that the device came in.
    var incoming: SessionID?
    /// The session that it is to go in.
    var outgoing: SessionID?
    /// Userspace's own HWPT, of an engine that took over.
    var own: HWPTID?

    /// In a running engine, before or after a jump.
    static func make(_ state: DomainState, _ flavour: UnitFlavour) throws -> LifecycleStage {
        var stage = try before(state, flavour)
        if ![.live, .marked, .preserved, .reverted].contains(state) {
            stage = try after(stage, flavour)
            try stage.advance(to: state)
        }
        return stage
    }

    /// In the first engine: live, marked, or, for all later states, preserved.
    private static func before(_ state: DomainState, _ flavour: UnitFlavour) throws -> LifecycleStage {
        var engine = try LiveEngine.start(try flavour.machine()) { _ in }
        let (ioas, hwpt) = try engine.space(flavour)
        try engine.own(device, on: hwpt)
        try map(ioas, &engine)
        var stage = LifecycleStage(flavour: flavour, engine: engine)
        if state == .live { return stage }
        try stage.engine.mark(hwpt, token: token)
        if state == .marked { return stage }
        let session = try stage.engine.createSession("guests")
        stage.outgoing = session
        try stage.engine.preserve(device, in: session)
        if state == .reverted { try stage.engine.unpreserve(device) }
        return stage
    }

    private static func map(_ ioas: IOASID, _ engine: inout LiveEngine) throws {
        let backing = try engine.addBacking(.memfd, base: file, byteCount: 1 << 20)
        try engine.map(
            ioas: ioas, iova: iova, byteCount: bytes, backing: backing, offset: 0x4000, protection: .readWrite)
    }

    private init(flavour: UnitFlavour, engine: consuming LiveEngine) {
        self.flavour = flavour
        self.engine = engine
    }

    /// What the record of the first engine says of the device.
    struct Record {
        let attachment: Engine.Attachment
        var geometry: RestoringEngine.Geometry
        let tags: [Domain.CacheTag]
        let pages: [PhysicalRange]

        init(_ engine: borrowing LiveEngine) throws {
            attachment = try unwrapped(engine.attachment(device))
            let domain = try unwrapped(engine.domain(attachment.domain))
            geometry = RestoringEngine.Geometry(try #require(domain.table))
            tags = domain.cacheTags
            pages = engine.tablePages(of: domain.id).map { PhysicalRange(first: $0.address, bytes: 4096)! }
        }
    }

    /// A new engine on `machine` that has taken over all but the device.
    static func staged(_ machine: Machine, _ record: Record) throws -> RestoringEngine {
        var books = try RestoringEngine(machine: machine, source: .handedOver) { _ in }
        try books.takeOver(unit: TestMachine.unit)
        books.hold(frames: record.pages)
        try books.reserveTag(unit: TestMachine.unit, tag: try #require(record.attachment.space).tag)
        return books
    }

    private static func after(
        _ preserved: consuming LifecycleStage, _ flavour: UnitFlavour
    ) throws -> LifecycleStage {
        let record = try Record(preserved.engine)
        guard case .frozen(let frozen) = preserved.engine.freeze() else { throw Errno.EIO }
        var books = try staged(frozen.jump(), record)
        let session = try books.addSession("guests")
        let domain = try books.adoptDomain(
            kind: .paging, geometry: record.geometry, on: TestMachine.unit, cacheTags: record.tags, token: token,
            session: session)
        try books.attachRestored(
            device, domain: domain, session: session, ownerToken: 9, entryAddress: record.attachment.entryAddress,
            space: record.attachment.space)
        var stage = LifecycleStage(flavour: flavour, engine: try books.start())
        stage.incoming = session
        return stage
    }

    /// From restored on.
    private mutating func advance(to state: DomainState) throws {
        let session = try #require(incoming)
        if state == .restored { return }
        if state == .quarantined { return try engine.quarantine(Self.device) }
        try engine.claim(Self.device, session: session)
        if state == .claimed { return }
        if state == .released { return try engine.release(Self.device) }
        _ = try engine.adoptHWPT(token: Self.token, session: session)
        if state == .adopted { return }
        if state == .orphaned { return try engine.abandon(session) }
        try rebuild()
        if state == .rebuilding { return }
        let hwpt = try #require(own)
        try engine.verify(Self.device, with: hwpt)
        if state == .verified { return }
        try engine.replace(Self.device, with: hwpt)
    }

    /// Userspace's own tables, which say the same.
    mutating func rebuild() throws {
        let (ioas, hwpt) = try engine.space(flavour)
        own = hwpt
        try Self.map(ioas, &engine)
    }

    /// Adopts what was preserved under `token`.
    mutating func adopt(_ token: UInt64) throws {
        _ = try engine.adoptHWPT(token: token, session: try #require(incoming))
    }

    /// Claims the device through another session that came over.
    mutating func claimElsewhere() throws {
        let other = try engine.addSession("other", isIncoming: true)
        do {
            try engine.claim(Self.device, session: other)
        } catch {
            engine.sessionTable[other] = nil
            throw error
        }
    }

    /// The HWPT of the domain that the device is on.
    var hwpt: HWPTID {
        let domain = engine.attachment(Self.device).flatMap { engine.domain($0.domain) }
        return domain?.hwpt ?? HWPTID(Self.nobody)
    }

    var ioas: IOASID { engine.hwpt(hwpt)?.ioas ?? IOASID(Self.nobody) }

    /// True when the device reaches what it was mapped to.
    var reaches: Bool {
        engine.machine.dma(Self.device, iova: IOVA(0x1008), access: .write)
            == .address(PhysicalAddress(Self.file.rawValue + 0x4008))
    }

    /// Asks the engine.
    mutating func answer(_ operation: LifecycleOperation) throws -> LifecycleAnswer {
        do {
            return try perform(operation)
        } catch let error as Errno {
            return .refused(error)
        } catch let refusal as Refusal {
            return .refused(refusal.errno)
        }
    }

    private mutating func perform(_ operation: LifecycleOperation) throws -> LifecycleAnswer {
        let device = Self.device
        switch operation {
        case .map:
            let backing = try engine.addBacking(.memfd, base: Self.file, byteCount: 1 << 20)
            try engine.map(
                ioas: ioas, iova: IOVA(0x80_0000), byteCount: 4096, backing: backing, protection: .readWrite)
            #expect(try engine.unmap(ioas: ioas, iova: IOVA(0x80_0000), byteCount: 4096) == 4096)
        case .mark: try engine.mark(hwpt, token: 77)
        case .unmark: try engine.unmark(hwpt)
        case .destroyHWPT: try engine.destroyHWPT(hwpt)
        case .replace:
            // Of a domain that was compared, the one that it was compared with.
            var target = own ?? HWPTID(Self.nobody)
            if own == nil || engine.domainState(device) == .replaced { target = try engine.space(flavour).hwpt }
            try engine.replace(device, with: target)
        case .detach: try engine.detach(device)
        case .attachPASID: try engine.attach(device, pasid: PASID(9)!, to: try engine.space(flavour).hwpt)
        case .open: return try engine.open(device, session: incoming) == .suppressed ? .suppressed : .allowed
        case .openOutside: try engine.open(device)
        case .claimOwner: try engine.claimOwner(Self.group, token: 99)
        case .claim: try engine.claim(device, session: incoming ?? outgoing ?? SessionID(Self.nobody))
        case .resetFunction: try engine.reset(device)
        case .resetBus: try engine.reset(device, .bus)
        case .bindDriver: try engine.bindDriver("nvme", to: device)
        case .unbindDriver: try engine.unbindDriver(device)
        case .dirtyTracking:
            try engine.setDirtyTracking(true, of: hwpt)
            try engine.setDirtyTracking(false, of: hwpt)
        case .preserve: try engine.preserve(device, in: try engine.createSession("next"))
        case .discard: try engine.discard(device)
        }
        return .allowed
    }
}
