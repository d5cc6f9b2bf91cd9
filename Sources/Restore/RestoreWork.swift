import Engine
import Handover
import IOMMUModel
import Snapshot
import Store
import Validate

/// One restore under way.
struct RestoreWork: ~Copyable {
    private let recorded: Snapshot
    private let machine: Machine
    /// What of the record is damaged.
    private let losses: RecordLosses
    /// The devices that depend on it, each with the damaged row.
    private let lost: [RequesterID: StoreDefect]
    let evidence: ReplaceEvidence
    var books: RestoringEngine
    let index: RecordIndex

    /// Of memory as it is now: nothing is written to it before the first quarantine.
    private let unchanged: Meanwhile<Set<UnitID>>
    private var badUnits: [UnitID: (refusal: Refusal, what: String)] = [:]
    /// Devices whose group has a member now that it had not when it was recorded.
    private let newcomers: [RequesterID: RequesterID]
    /// What the engine that was sealed knew of its devices; empty for an imported machine.
    private let widths: [RequesterID: DeviceTraits]
    var sessions: RestoredSessions
    private var adopted: [DomainID: DomainID] = [:]
    private var refused: [DomainID: Refusal] = [:]
    /// Domains that a dead engine had built: those with host tables by these, nested ones by their recorded domain.
    var found: [TableKey: DomainID] = [:]
    var foundNested: [DomainID: DomainID] = [:]
    private var devices: [HandoverReport.Device] = []
    private var domains: [AttachmentKey: Restorer.AttachedDomain] = [:]
    var foundReplaced: [AttachmentKey] = []
    /// See ``Restorer/Restored/unrecordedTables``.
    private var unrecordedTables: [PhysicalRange] = []
    /// What differs in memory, in words.
    private var differences: [RequesterID: String] = [:]

    struct TableKey: Hashable {
        var format: PageTableFormatKind
        var root: PhysicalAddress
    }

    /// A domain that a dead engine had built is adopted under its token with this bit set: the token itself belongs to
    /// the domain of the record, which other devices may still be on.
    static let rebuiltTokenBit: UInt64 = 1 << 63

    /// Begins a restore of `recorded` over `machine`.
    static func begin(
        _ recorded: Snapshot, machine: Machine, losses: RecordLosses, evidence: ReplaceEvidence,
        configuration: EngineConfiguration, sink: @escaping EventSink
    ) throws(Refusal) -> RestoreWork {
        let books = try books(machine, configuration, sink)
        return RestoreWork(recorded: recorded, machine: machine, losses: losses, evidence: evidence, books: books)
    }

    private init(
        recorded: Snapshot, machine: Machine, losses: RecordLosses, evidence: ReplaceEvidence,
        books: consuming RestoringEngine
    ) {
        self.losses = losses
        lost = losses.requesters(recorded)
        self.recorded = recorded
        self.machine = machine
        self.evidence = evidence
        self.books = books
        unchanged = LookupReading.unchangedUnits(recorded, machine)
        index = RecordIndex(recorded)
        widths = DeviceTraits.read(recorded) ?? [:]
        sessions = RestoredSessions(recorded)
        newcomers = MachineMatch.newcomers(recorded, machine)
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
            if let bad = MachineMatch.difference(of: unit, machine) {
                badUnits[unit.id] = bad
                continue
            }
            do {
                try books.takeOver(unit: unit.id)
            } catch {
                badUnits[unit.id] = (error, "unit \(unit.id) cannot be taken over")
            }
        }
        for unit in machine.units where !recorded.units.contains(where: { $0.id == unit.id && badUnits[$0.id] == nil })
        {
            // Whatever cannot be taken over either gets tables of its own before the engine starts.
            try? books.takeOver(unit: unit.id)
        }
        let pages = recorded.tablePages.flatMap(\.pages.entries) + recorded.lookupPages.flatMap(\.pages.entries)
        books.hold(frames: pages.compactMap { PhysicalRange(first: $0.address, bytes: 4096) })
        guard !losses.domains.isEmpty else { return }
        let (frames, unreadable) = MachineMatch.tableFrames(recorded, machine)
        books.hold(frames: frames)
        unrecordedTables = frames
        for domain in unreadable { refused[domain] = Refusal(.EINVAL, .tableBudgetExceeded) }
    }

    mutating func addSessions() throws(Refusal) {
        for session in recorded.sessions {
            do {
                sessions.add(session.id, as: try books.addSession(session.name))
            } catch {
                throw Refusal(error)
            }
        }
    }

    /// Reserves every tag of the domains that go over the jump first, then takes them over.
    mutating func adoptDomains() throws(Refusal) {
        let kept = Set(recorded.keptAttachments.map(\.domain))
        let carried = recorded.domains.filter { ($0.preserved || kept.contains($0.id)) && $0.kind != .blocked }
        let tags = recorded.cacheTags
        refuseCollisions(carried, tags)
        for domain in carried {
            if let loss = losses.domains[domain.id] { refused[domain.id] = Refusal(.EINVAL, loss.rule) }
        }
        for tag in Set(carried.flatMap { tags[$0.id] ?? [] }).sorted() where badUnits[tag.unit] == nil {
            do {
                try books.reserveTag(unit: tag.unit, tag: tag.tag)
            } catch {
                for domain in carried where tags[domain.id]?.contains(tag) == true { refused[domain.id] = error }
            }
        }
        // A nested domain's parent first.
        for domain in carried.filter({ $0.parent == nil }) + carried.filter({ $0.parent != nil }) {
            guard refused[domain.id] == nil else { continue }
            do {
                adopted[domain.id] = try adopt(domain, (tags[domain.id] ?? []).filter { badUnits[$0.unit] == nil })
            } catch {
                refused[domain.id] = error
            }
        }
    }

    /// One tag for two trees: which of both a cached translation is of, nobody can say, so neither is taken over. Where the
    /// PASID is part of the key, the tag alone says nothing.
    private mutating func refuseCollisions(_ carried: [DomainRecord], _ tags: [DomainID: [Snapshot.UnitTag]]) {
        let alone = Set(
            recorded.domainUnits.lazy.filter { $0.tables.map { $0.format != .x86_64 } ?? false }.map(\.domain))
        var owners: [Snapshot.UnitTag: [DomainID]] = [:]
        for domain in carried where domain.kind == .paging && alone.contains(domain.id) {
            for tag in tags[domain.id] ?? [] { owners[tag, default: []].append(domain.id) }
        }
        for domain in owners.values.filter({ $0.count > 1 }).joined() {
            refused[domain] = Refusal(.EEXIST, .cacheTagCollision)
        }
    }

    private mutating func adopt(_ domain: DomainRecord, _ tags: [Snapshot.UnitTag]) throws(Refusal) -> DomainID {
        if let parent = domain.parent, adopted[parent] == nil {
            throw refused[parent] ?? Refusal(.EINVAL, .referenceUnresolved)
        }
        guard
            let place = index.places[domain.id]?.first(where: { badUnits[$0.unit] == nil })
        else { throw Refusal(.EINVAL, .referenceUnresolved) }
        return try books.adoptDomain(
            kind: domain.kind, geometry: place.tables.map { RestoringEngine.Geometry($0) },
            parent: domain.parent.flatMap { adopted[$0] }, on: place.unit,
            cacheTags: tags.map { .init(unit: $0.unit, cacheTag: $0.tag) },
            token: domain.preserved ? token(of: domain.id) : nil,
            session: domain.preserved ? sessions.of(domain.id) : nil)
    }

    /// Attaches every preserved device, with all its PASIDs, to the domains that its entries in memory name, or
    /// quarantines it.
    mutating func attach(_ crash: CrashHook) {
        let carried = Set(recorded.devices.lazy.filter(\.preserved).map(\.requester))
        books.expect(attachments: machine.devices.count + recorded.attachments.count)
        domains.reserveCapacity(recorded.attachments.count)
        devices.reserveCapacity(recorded.attachments.count)
        var lookups = LookupReading(
            recorded, machine, books.listings, carried: carried, unchanged: unchanged.wait())
        let attachments = index.attachments.filter { carried.contains($0.first!.requester) }
        for (number, all) in attachments.enumerated() {
            let requester = all.first!.requester
            do throws(Refusal) {
                let unit = try check(requester, all, &lookups)
                for attachment in all {
                    domains[AttachmentKey(requester, attachment.pasid)] = try restoredDomain(attachment, on: unit)
                }
                for one in all { devices.append(.init(requester: requester, pasid: one.pasid, state: .restored)) }
            } catch {
                quarantine(requester, all, error)
            }
            if number == 0 { crash(.inRestore) }
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
                attachment.requester, pasid: attachment.pasid, domain: domain, entryAddress: attachment.entryAddress,
                space: attachment.space)
        } catch {
            (device.errno, device.rule) = (error.errno, error.rule)
            device.reason = "must not be blocked, and its domain could not be taken over: its entry stays as it is"
        }
        devices.append(device)
    }

    /// What has to be true of a device before any of its `attachments` is taken over. Answers with its unit.
    private mutating func check(
        _ requester: RequesterID, _ attachments: ArraySlice<AttachmentRecord>, _ lookups: inout LookupReading
    ) throws(Refusal) -> UnitID {
        guard let device = machine.device(requester) else {
            differences[requester] = "the machine has no such device"
            throw Refusal(.ENODEV, .deviceMissing, requester: requester)
        }
        let former = index.devices[requester]
        if let former, (former.vendorID, former.deviceID) != (device.vendorID, device.deviceID) {
            func name(_ vendor: UInt16, _ device: UInt16) -> String {
                hex(UInt64(vendor), digits: 4).dropFirst(2) + ":" + hex(UInt64(device), digits: 4).dropFirst(2)
            }
            differences[requester] =
                "there is a \(name(device.vendorID, device.deviceID)) now, "
                + "recorded is a \(name(former.vendorID, former.deviceID))"
            throw Refusal(.ENODEV, .deviceMissing, requester: requester)
        }
        if let bits = widths[requester]?.pasidBits, bits > device.pasidBits,
            let pasid = attachments.lazy.compactMap(\.pasid).first(where: {
                $0.rawValue >> UInt32(bits) == 0 && $0.rawValue >> UInt32(device.pasidBits) != 0
            })
        {
            differences[requester] = "its PASIDs have \(device.pasidBits) bits now, too few for \(pasid)"
            throw Refusal(.EINVAL, .pasidBeyondDevice, requester: requester, pasid: pasid)
        }
        if let pasid = lookups.strangers[requester] {
            differences[requester] = "PASID \(pasid) has an entry in memory, and no record"
            throw Refusal(.EOPNOTSUPP, .preservePASID, requester: requester, pasid: pasid)
        }
        let unit = former?.unit ?? device.unit
        if let bad = badUnits[unit] {
            differences[requester] = bad.what
            throw bad.refusal
        }
        if let newcomer = newcomers[requester] {
            differences[requester] = "its group has \(newcomer) now, which it had not"
            throw Refusal(.EOPNOTSUPP, .preserveGroup, requester: requester)
        }
        for attachment in attachments { if let refusal = refused[attachment.domain] { throw refusal } }
        guard !sessions.isUnresolved(requester),
            attachments.allSatisfy({ adopted[$0.domain] != nil && $0.entryAddress != nil })
        else { throw Refusal(.EINVAL, .referenceUnresolved, requester: requester) }
        // Where a dead engine had begun to switch the device, entries differ that lead to what is recorded all the same.
        if !isBeingReplaced(attachments), let finding = try lookups.difference(requester, on: unit, machine) {
            differences[requester] = finding.message + (finding.address.map { ", at \($0)" } ?? "")
            throw Refusal(.EINVAL, finding.rule, requester: requester)
        }
        return unit
    }

    private mutating func restoredDomain(
        _ attachment: AttachmentRecord, on unit: UnitID
    ) throws(Refusal) -> Restorer.AttachedDomain {
        guard let domain = adopted[attachment.domain] else {
            throw Refusal(.EINVAL, .referenceUnresolved, requester: attachment.requester)
        }
        if let rebuilt = try rebuiltDomain(attachment, on: unit) { return rebuilt }
        try attachRestored(attachment, to: domain, entryAddress: attachment.entryAddress, space: attachment.space)
        return Restorer.AttachedDomain(
            recorded: attachment.domain, engine: domain, token: token(of: attachment.domain), isRecordedTree: true,
            host: host(of: attachment.domain, engine: nil))
    }

    /// The domain of the host's tables below the nested one `domain` of the record; `engine` where it is not the recorded
    /// one.
    func host(of domain: DomainID, engine: DomainID?) -> Restorer.AttachedDomain.Host? {
        guard let parent = index.domains[domain]?.parent,
            let known = engine ?? adopted[parent]
        else { return nil }
        return .init(
            recorded: parent, engine: known,
            token: token(of: parent).map { engine == nil ? $0 : $0 | Self.rebuiltTokenBit })
    }

    mutating func attachRestored(
        _ attachment: AttachmentRecord, to domain: DomainID, entryAddress: PhysicalAddress?, space: CacheSpace?
    ) throws(Refusal) {
        let owner = index.devices[attachment.requester].flatMap { index.owners[$0.group] } ?? 0
        try books.attachRestored(
            attachment.requester, pasid: attachment.pasid, domain: domain,
            session: sessions.of(attachment.requester), ownerToken: owner,
            entryAddress: entryAddress, space: space)
    }

    /// Blocks a device with all its PASIDs: one of them could not be restored.
    private mutating func quarantine(
        _ requester: RequesterID, _ attachments: ArraySlice<AttachmentRecord>, _ refusal: Refusal
    ) {
        let place = attachments.first?.entryAddress.map { "lookup entry \($0)" } ?? "no lookup entry"
        let damage = refusal.rule == .recordChecksum ? lost[requester] : nil
        var reason =
            damage.map(RecordLosses.reason)
            ?? "restore: " + (differences[requester] ?? "\(place) is not what the record says")
        if machine.device(requester) != nil {
            let domains = Dictionary(
                attachments.compactMap { one in adopted[one.domain].map { (one.pasid, $0) } },
                uniquingKeysWith: { first, _ in first })
            do throws(Refusal) {
                try books.quarantine(
                    requester, holding: domains, session: sessions.of(requester), distrusting: true)
            } catch {
                reason += "; could not be blocked (\(error.errno.name))"
            }
        }
        for attachment in attachments {
            domains[AttachmentKey(requester, attachment.pasid)] = nil
            devices.append(
                .init(
                    requester: requester, pasid: attachment.pasid, state: .quarantined, errno: refusal.errno,
                    rule: refusal.rule, reason: reason))
        }
    }

    /// The engine that can allocate; entries that nobody handed over are cleared.
    consuming func finish() throws(Refusal) -> Restorer.Restored {
        let sessions = sessions.all
        let devices = devices
        let domains = domains
        let foundReplaced = foundReplaced
        let unrecordedTables = unrecordedTables
        let engine: LiveEngine
        do throws(Errno) {
            engine = try books.start()
        } catch {
            throw Refusal(error)
        }
        return Restorer.Restored(
            engine: engine, sessions: sessions, devices: devices, domains: domains, foundReplaced: foundReplaced,
            unrecordedTables: unrecordedTables)
    }

    func token(of domain: DomainID) -> UInt64? { index.tokens[domain] }
}
