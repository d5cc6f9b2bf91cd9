import Engine
import Handover
import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Validate

/// One restore under way.
struct RestoreWork: ~Copyable {
    private let recorded: Snapshot
    private let machine: Machine
    private let evidence: ReplaceEvidence
    private var books: RestoringEngine
    private let lookups: LookupAudit

    private var badUnits: [UnitID: (refusal: Refusal, what: String)] = [:]
    /// Devices whose group has a member now that it had not when it was recorded.
    private let newcomers: [RequesterID: RequesterID]
    private var sessions: [SessionID] = []
    private var adopted: [DomainID: DomainID] = [:]
    private var refused: [DomainID: Refusal] = [:]
    private var found: [TableKey: DomainID] = [:]
    private var devices: [HandoverReport.Device] = []
    private var domains: [RequesterID: Restorer.AttachedDomain] = [:]
    private var foundReplaced: [RequesterID] = []
    /// What differs in memory, in words.
    private var differences: [RequesterID: String] = [:]

    private struct TableKey: Hashable {
        var unit: UnitID
        var root: PhysicalAddress
        var tag: UInt32
    }

    /// A domain that a dead engine had built is adopted under its token with this bit set: the token itself belongs to
    /// the domain of the record, which other devices may still be on.
    static let rebuiltTokenBit: UInt64 = 1 << 63

    /// Begins a restore of `recorded` over `machine`.
    static func begin(
        _ recorded: Snapshot, machine: Machine, evidence: ReplaceEvidence, configuration: EngineConfiguration,
        sink: @escaping EventSink
    ) throws(Refusal) -> RestoreWork {
        let lookups = try lookups(of: recorded)
        let books = try books(machine, configuration, sink)
        return RestoreWork(recorded: recorded, machine: machine, evidence: evidence, books: books, lookups: lookups)
    }

    private init(
        recorded: Snapshot, machine: Machine, evidence: ReplaceEvidence, books: consuming RestoringEngine,
        lookups: LookupAudit
    ) {
        self.recorded = recorded
        self.machine = machine
        self.evidence = evidence
        self.books = books
        self.lookups = lookups
        newcomers = Self.newcomers(recorded, machine)
    }

    /// For every device of the machine whose group holds devices that the record has apart: one of these.
    private static func newcomers(_ recorded: Snapshot, _ machine: Machine) -> [RequesterID: RequesterID] {
        let groups = Dictionary(recorded.devices.map { ($0.requester, $0.group) }) { first, _ in first }
        var result: [RequesterID: RequesterID] = [:]
        for members in Dictionary(grouping: machine.devices.map { ($0.group, $0.requester) }, by: \.0).values {
            guard let first = members.first?.1, let other = members.first(where: { groups[$0.1] != groups[first] })?.1
            else { continue }
            for (_, member) in members { result[member] = groups[member] == groups[first] ? other : first }
        }
        return result
    }

    private static func lookups(of recorded: Snapshot) throws(Refusal) -> LookupAudit {
        do { return try LookupAudit(recorded) } catch { throw Refusal(.ENOMEM) }
    }

    private static func books(
        _ machine: Machine, _ configuration: EngineConfiguration, _ sink: @escaping EventSink
    ) throws(Refusal) -> RestoringEngine {
        do {
            return try RestoringEngine(
                machine: machine, source: .handedOver, configuration: configuration, sink: sink)
        } catch {
            throw Refusal(error)
        }
    }

    /// Matches every recorded unit against the machine's, by register base and registers, and takes its tables over.
    ///
    /// Of a unit that is not the recorded one, the tables are taken over too when they can be: to clear what is in them.
    mutating func takeOverUnits() throws(Refusal) {
        for unit in recorded.units {
            var what = "unit \(unit.id) cannot be taken over"
            do throws(Refusal) {
                guard let hardware = machine.units.first(where: { $0.registerBase == unit.registerBase }),
                    hardware.id == unit.id, hardware.kind == unit.kind
                else {
                    what = "no unit \(unit.id) at \(unit.registerBase)"
                    throw Refusal(.ENODEV, .unitMissing)
                }
                let now = hardware.description
                for name in ["cap", "ecap", "rtaddr"] where unit[register: name] != now[register: name] {
                    func text(_ value: UInt64?) -> String { value.map { hex($0) } ?? "unknown" }
                    what =
                        "\(name) of unit \(unit.id) is \(text(now[register: name])), "
                        + "recorded is \(text(unit[register: name]))"
                    throw Refusal(.EINVAL, .unitRegisterDiffers)
                }
                guard unit.hostAddressWidth == now.hostAddressWidth else {
                    what =
                        "unit \(unit.id) has a host address width of \(now.hostAddressWidth) bits, "
                        + "recorded are \(unit.hostAddressWidth)"
                    throw Refusal(.EINVAL, .unitRegisterDiffers)
                }
                try books.takeOver(unit: unit.id)
            } catch {
                badUnits[unit.id] = (error, what)
            }
        }
        for unit in machine.units where !recorded.units.contains(where: { $0.id == unit.id && badUnits[$0.id] == nil })
        {
            // Whatever cannot be taken over either gets tables of its own before the engine starts.
            try? books.takeOver(unit: unit.id)
        }
        let pages = recorded.tablePages.flatMap(\.pages.entries) + recorded.lookupPages.flatMap(\.pages.entries)
        books.hold(frames: pages.compactMap { PhysicalRange(first: $0.address, bytes: 4096) })
    }

    mutating func addSessions() throws(Refusal) {
        for session in recorded.sessions {
            do {
                sessions.append(try books.addSession(session.name))
            } catch {
                throw Refusal(error)
            }
        }
    }

    /// Reserves every tag of the domains that go over the jump first, then takes them over.
    mutating func adoptDomains() throws(Refusal) {
        let kept = Set(recorded.keptAttachments.map(\.domain))
        let carried = recorded.domains.filter { ($0.preserved || kept.contains($0.id)) && $0.kind != .blocked }
        let places = Dictionary(grouping: recorded.domainUnits, by: \.domain)
        let tags = recorded.cacheTags.mapValues { tags in tags.filter { badUnits[$0.unit] == nil } }
        var reserved: Set<Snapshot.UnitTag> = []
        for domain in carried {
            for tag in tags[domain.id] ?? [] where reserved.insert(tag).inserted {
                do {
                    try books.reserveTag(unit: tag.unit, tag: tag.tag)
                } catch {
                    refused[domain.id] = error
                }
            }
        }
        for domain in carried where refused[domain.id] == nil {
            let units = (places[domain.id] ?? []).filter { badUnits[$0.unit] == nil }
            do {
                adopted[domain.id] = try books.adoptDomain(
                    kind: domain.kind, geometry: units.first?.tables.map(Self.geometry),
                    cacheTags: (tags[domain.id] ?? []).map { .init(unit: $0.unit, cacheTag: $0.tag) },
                    token: domain.preserved ? token(of: domain.id) : nil,
                    session: domain.preserved ? sessions.first : nil)
            } catch {
                refused[domain.id] = error
            }
        }
    }

    /// Attaches every preserved device to the domain that its entry in memory names, or quarantines it.
    mutating func attach(_ crash: CrashHook) {
        let carried = Dictionary(recorded.devices.filter(\.preserved).map { ($0.requester, $0) }) { first, _ in first }
        let attachments = recorded.attachments.filter { carried[$0.requester] != nil }
        for attachment in attachments {
            guard let device = carried[attachment.requester] else { continue }
            do throws(Refusal) {
                let domain = try restoredDomain(attachment, on: device.unit)
                domains[attachment.requester] = domain
                devices.append(
                    .init(requester: attachment.requester, pasid: attachment.pasid, state: .restored))
            } catch {
                quarantine(attachment, error)
            }
            if attachment == attachments.first { crash(.inRestore) }
        }
        for attachment in recorded.keptAttachments { keep(attachment) }
    }

    /// Attaches a device that must not be blocked to the domain that it is on, with an owner that nobody can be.
    private mutating func keep(_ attachment: AttachmentRecord) {
        var device = HandoverReport.Device(
            requester: attachment.requester, pasid: attachment.pasid, state: .kept,
            reason: "must not be blocked: it stays on its domain, and nobody gets it")
        do throws(Refusal) {
            guard let domain = adopted[attachment.domain] else {
                throw refused[attachment.domain] ?? Refusal(.EINVAL, .referenceUnresolved)
            }
            try books.attachRestored(
                attachment.requester, pasid: attachment.pasid, domain: domain, entryAddress: attachment.entryAddress)
        } catch {
            (device.errno, device.rule) = (error.errno, error.rule)
            device.reason = "must not be blocked, and its domain could not be taken over: its entry stays as it is"
        }
        devices.append(device)
    }

    private mutating func restoredDomain(
        _ attachment: AttachmentRecord, on unit: UnitID
    ) throws(Refusal) -> Restorer.AttachedDomain {
        let requester = attachment.requester
        guard machine.device(requester) != nil else {
            differences[requester] = "the machine has no such device"
            throw Refusal(.ENODEV, .deviceMissing, requester: requester)
        }
        if let bad = badUnits[unit] {
            differences[requester] = bad.what
            throw bad.refusal
        }
        if let newcomer = newcomers[requester] {
            differences[requester] = "its group has \(newcomer) now, which it had not"
            throw Refusal(.EOPNOTSUPP, .preserveGroup, requester: requester)
        }
        if let refusal = refused[attachment.domain] { throw refusal }
        guard let domain = adopted[attachment.domain], let address = attachment.entryAddress else {
            throw Refusal(.EINVAL, .referenceUnresolved, requester: requester)
        }
        if let finding = lookups.check(requester, live: machine.memory.view).first {
            guard let low = machine.memory.word(at: address),
                let high = address.offset(by: 8).flatMap({ machine.memory.word(at: $0) }),
                let rebuilt = try rebuiltDomain(attachment, on: unit, VTDContextEntry(low: low, high: high))
            else {
                differences[requester] = finding.message + (finding.address.map { ", at \($0)" } ?? "")
                throw Refusal(.EINVAL, finding.rule, requester: requester)
            }
            return rebuilt
        }
        try attachRestored(attachment, to: domain)
        return Restorer.AttachedDomain(
            recorded: attachment.domain, engine: domain, token: token(of: attachment.domain), isRecordedTree: true)
    }

    /// The domain that a dead engine had announced for the device, when `entry` points to it; `nil`: damage.
    private mutating func rebuiltDomain(
        _ attachment: AttachmentRecord, on unit: UnitID, _ entry: VTDContextEntry
    ) throws(Refusal) -> Restorer.AttachedDomain? {
        let requester = attachment.requester
        let tag = UInt32(entry.domainID)
        guard entry.isPresent, let target = evidence.target(of: requester, root: entry.root, tag: tag) else {
            return nil
        }
        let key = TableKey(unit: unit, root: target.root, tag: tag)
        let token = token(of: attachment.domain).map { $0 | Self.rebuiltTokenBit }
        let domain: DomainID
        if let known = found[key] {
            domain = known
        } else {
            try books.reserveTag(unit: unit, tag: tag)
            domain = try books.adoptDomain(
                kind: .paging,
                geometry: .init(root: target.root, topLevel: target.topLevel, addressBits: target.addressBits),
                cacheTags: [.init(unit: unit, cacheTag: tag)], token: token, session: sessions.first)
            found[key] = domain
            // Only after a crash: these pages are in no record, so the tree itself says which frames are taken.
            let pages = books.engine.tablePages(of: domain)
            books.hold(frames: pages.compactMap { PhysicalRange(first: $0.address, bytes: 4096) })
        }
        try attachRestored(attachment, to: domain)
        foundReplaced.append(requester)
        return Restorer.AttachedDomain(
            recorded: attachment.domain, engine: domain, token: token, isRecordedTree: false)
    }

    private mutating func attachRestored(_ attachment: AttachmentRecord, to domain: DomainID) throws(Refusal) {
        let group = recorded.devices.first { $0.requester == attachment.requester }?.group
        let owner = recorded.groups.first { $0.id == group }?.ownerToken ?? 0
        try books.attachRestored(
            attachment.requester, pasid: attachment.pasid, domain: domain, session: sessions.first, ownerToken: owner,
            entryAddress: attachment.entryAddress)
    }

    private mutating func quarantine(_ attachment: AttachmentRecord, _ refusal: Refusal) {
        let requester = attachment.requester
        let place = attachment.entryAddress.map { "context entry \($0)" } ?? "no context entry"
        var reason = "restore: " + (differences[requester] ?? "\(place) is not what the record says")
        if machine.device(attachment.requester) != nil {
            do throws(Refusal) {
                try books.quarantine(attachment.requester, holding: adopted[attachment.domain])
            } catch {
                reason += "; could not be blocked (\(error.errno.name))"
            }
        }
        devices.append(
            .init(
                requester: attachment.requester, pasid: attachment.pasid, state: .quarantined, errno: refusal.errno,
                rule: refusal.rule, reason: reason))
    }

    /// The engine that can allocate; entries that nobody handed over are cleared.
    consuming func finish() throws(Refusal) -> Restorer.Restored {
        let sessions = sessions
        let devices = devices
        let domains = domains
        let foundReplaced = foundReplaced
        let engine: LiveEngine
        do throws(Errno) {
            engine = try books.start()
        } catch {
            throw Refusal(error)
        }
        return Restorer.Restored(
            engine: engine, sessions: sessions, devices: devices, domains: domains, foundReplaced: foundReplaced)
    }

    private func token(of domain: DomainID) -> UInt64? { recorded.hwpts.first { $0.domain == domain }?.token }

    private static func geometry(_ tables: DomainUnitRecord.Geometry) -> RestoringEngine.Geometry {
        .init(root: tables.root, topLevel: tables.topLevel, addressBits: tables.addressBits)
    }
}
