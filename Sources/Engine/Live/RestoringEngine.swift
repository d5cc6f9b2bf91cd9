import Hardware
import IOMMUModel
import PageTables

/// A new engine that takes over what stands in memory, before it allocates anything of its own.
///
/// The order is the type's: units, tags, domains, attachments and quarantines in here; ``start()`` gives the engine that
/// can allocate. Nothing in here changes a lookup entry of an attached device or reads a table below its root.
public struct RestoringEngine: ~Copyable {
    /// What is taken over.
    public enum Source: String, Sendable, Hashable {
        /// What a former kernel handed over: attachments begin as ``LifecycleState/restored``; what is not attached is
        /// cleared by ``RestoringEngine/start()``.
        case handedOver
        /// A running kernel's state, for example an imported machine's: attachments begin as ``LifecycleState/live`` and
        /// nothing is cleared.
        case running
    }

    /// The books so far, read only.
    public internal(set) var engine: LiveEngine
    /// What is taken over, hence what ``start()`` clears.
    public let source: Source
    /// What stood in the structures of each unit when it was taken over; nothing in here adds to it.
    public private(set) var listings: [UnitID: LookupListing] = [:]
    /// Nothing in here has written to memory: what was listed still stands there.
    private var isUntouched = true
    /// By unit, what comes behind the entry of its listing that was attached last: they mostly come in its order.
    private var nextListed: [UnitID: Int] = [:]

    /// Begins on a machine whose units translate already. Every device is blocked in the books, nothing is written.
    ///
    /// - Throws: `EFAULT` when the arena's frames are not in memory.
    public init(
        machine: Machine, source: Source, configuration: EngineConfiguration = .init(), sink: @escaping EventSink
    ) throws(Errno) {
        engine = try LiveEngine(bare: machine, configuration: configuration, sink: sink)
        self.source = source
        engine.note(.start, "take-over", [.init("source", source.rawValue)] + engine.startArguments)
    }

    /// Takes over a unit's lookup structures in place. O(lookup entries).
    ///
    /// `root` is what the record says of the root structure; `nil`: whatever the register says.
    ///
    /// - Throws: `ENODEV` no such unit, `EINVAL` the unit does not translate, or its root register differs, `EEXIST` taken
    ///   over already, `EFAULT` the root structure is not in memory.
    public mutating func takeOver(unit: UnitID, root: PhysicalAddress? = nil) throws(Refusal) {
        listings[unit] = try engine.refusable("take-over-unit", [.init("unit", unit)]) { (engine) throws(Refusal) in
            guard let hardware = engine.machine.unit(unit) else { throw Refusal(.ENODEV, .unitMissing) }
            guard engine.unitTable[unit] == nil else { throw Refusal(.EEXIST) }
            guard hardware.hardware.readsTables else { throw Refusal(.EINVAL, hardware.modeRule) }
            let listing = hardware.hardware.listing(memory: engine.machine.memory.view)
            guard root == nil || root == listing.root else { throw Refusal(.EINVAL, .unitRegisterDiffers) }
            guard !listing.rootIsAbsent else {
                throw Refusal(.EFAULT, hardware.rootRule)
            }
            for page in listing.pages { engine.arena.adopt(page.address) }
            engine.unitTable[unit] = LiveEngine.UnitState(tags: LiveEngine.tagAllocator(hardware))
            return listing
        }
    }

    /// Takes table frames out of what can be allocated, so that they can be freed with their domain: those of every
    /// domain that is adopted, and of those that could not be. One mark per frame; nothing is read.
    public mutating func hold(frames: [PhysicalRange]) {
        for range in frames {
            for page in range.first.page...range.last.page { engine.arena.adopt(PhysicalAddress(page: page)) }
        }
        engine.heldFrames += frames
    }

    /// Reserves exactly `tag` on `unit`; a tag that several attachments share is reserved once.
    ///
    /// - Throws: `ENODEV` no such unit (or not taken over), `EINVAL` not a tag of the unit, `EEXIST` reserved already.
    public mutating func reserveTag(unit: UnitID, tag: UInt32) throws(Refusal) {
        try engine.refusable("reserve-tag", [.init("unit", unit), .init("tag", tag)]) { (engine) throws(Refusal) in
            guard engine.unitTable[unit] != nil else { throw Refusal(.ENODEV, .unitMissing) }
            do throws(Errno) {
                try engine.unitTable[unit]!.tags.reserve(tag)
            } catch {
                throw Refusal(error, error == .EEXIST ? .cacheTagCollision : nil)
            }
        }
    }

    /// The shape of a domain's tables as recorded.
    public struct Geometry: Sendable, Hashable {
        /// What the words mean.
        public var format: PageTableFormatKind
        /// The root table, 4 KiB aligned; of a nested domain an address of the guest.
        public var root: PhysicalAddress
        /// Level of the root table; level 0 maps 4 KiB.
        public var topLevel: UInt8
        /// Width of the input address in bits.
        public var addressBits: UInt8
        /// Input addresses are sign-extended (x86-64 tables under a PASID).
        public var signExtended: Bool
        /// All as given; ``RestoringEngine/adoptDomain(kind:holder:geometry:parent:cacheTags:token:session:)`` checks them.
        public init(
            format: PageTableFormatKind = .vtdSecondStage, root: PhysicalAddress, topLevel: UInt8, addressBits: UInt8,
            signExtended: Bool = false
        ) {
            self.format = format
            self.root = root
            self.topLevel = topLevel
            self.addressBits = addressBits
            self.signExtended = signExtended
        }
    }

    /// Takes over a domain with the tables at `geometry`, as they are. O(1): of the tables only the root is looked at, and
    /// of a nested domain's, which are a guest's, nothing.
    ///
    /// `token` and `session` are those that it was preserved under. `unit` is one that walks it. Handed over: the domain
    /// is freed, with tags and table pages, when its last attachment is gone.
    ///
    /// - Throws: `EINVAL` a blocked domain, a domain with tables without a geometry or the reverse, a nested one without a
    ///   parent, a shape that the unit cannot walk, or a tag that was not reserved; `EEXIST` the tag belongs to another
    ///   domain; `EFAULT` the root is not in memory; `ENODEV`, `ENOENT` no such unit, parent or session.
    public mutating func adoptDomain(
        kind: DomainKind, holder: DomainHolder = .core, geometry: Geometry? = nil, parent: DomainID? = nil,
        on unit: UnitID, cacheTags: [Domain.CacheTag], token: UInt64? = nil, session: SessionID? = nil
    ) throws(Refusal) -> DomainID {
        var arguments: [Event.Argument] = [.init("kind", kind.rawValue)]
        if let geometry { arguments.append(.init("root", geometry.root)) }
        if let token { arguments.append(.init("token", hex(token))) }
        let inherited = source == .handedOver
        return try engine.refusable("adopt-domain", arguments, results: { [.init("domain", $0)] }) {
            (engine) throws(Refusal) in
            guard kind != .blocked, kind.hasTables == (geometry != nil), (kind == .nested) == (parent != nil) else {
                throw Refusal(.EINVAL)
            }
            guard session == nil || engine.sessionTable[session!] != nil else { throw Refusal(.ENOENT) }
            guard parent == nil || engine.domainTable[parent!]?.kind == .paging else { throw Refusal(.ENOENT) }
            try engine.checkReserved(cacheTags, isShared: geometry?.format == .x86_64)
            let id = DomainID(engine.newID())
            var domain = Domain(id: id, kind: kind, holder: holder)
            if let geometry, kind == .paging { domain.table = try engine.existingTable(geometry, on: unit) }
            if let geometry, kind == .nested { domain.guestStage = try engine.existingStage(geometry, on: unit) }
            domain.parent = parent
            domain.isInherited = inherited
            domain.token = token
            domain.session = session
            engine.domainTable[id] = domain
            for tag in cacheTags { engine.ownTakenOver(tag, by: id) }
            return id
        }
    }

    /// Notes one more tag of a domain that was taken over: another unit's, or that of another lookup entry.
    ///
    /// - Throws: `ENOENT` no such domain; `EINVAL`, `EEXIST` as
    ///   ``adoptDomain(kind:holder:geometry:parent:on:cacheTags:token:session:)``.
    public mutating func addTag(_ tag: Domain.CacheTag, to domain: DomainID) throws(Refusal) {
        let arguments: [Event.Argument] = [
            .init("domain", domain), .init("unit", tag.unit), .init("tag", UInt64(tag.cacheTag)),
        ]
        try engine.refusable("add-tag", arguments) { (engine) throws(Refusal) in
            guard let record = engine.domainTable[domain] else { throw Refusal(.ENOENT) }
            guard !record.cacheTags.contains(tag) else { return }
            try engine.checkReserved([tag], isShared: record.isGuestTables)
            engine.ownTakenOver(tag, by: domain)
        }
    }

    /// Makes room for `count` attachments, so that the books grow once; there may be more.
    package mutating func expect(attachments count: Int) { engine.attachmentTable.reserveCapacity(count) }

    /// Attaches a device in the books to the domain that its lookup entry in memory already names; rewrites nothing. The entry
    /// counts as it stood when its unit was taken over, until a quarantine in here has written to memory.
    ///
    /// `entryAddress` and `space` are where the record says the entry stands and what it is cached under. Handed over: the
    /// device belongs to `session`, and its group's owner becomes a token, so that nobody but the session's claimer gets
    /// it.
    ///
    /// - Throws: `ENODEV` no such device, `ENOENT` no such domain or session, `EBUSY` attached already, `EINVAL` the entry
    ///   in memory says something else or stands elsewhere, `EEXIST` the tag of its guest tables is a domain's.
    public mutating func attachRestored(
        _ requester: RequesterID, pasid: PASID? = nil, domain: DomainID, session: SessionID? = nil,
        ownerToken: UInt64 = 0, entryAddress: PhysicalAddress? = nil, space: CacheSpace? = nil
    ) throws(Refusal) {
        let source = source
        let listed = listedContext(requester, pasid)
        let arguments = Event.Argument.device(requester, pasid, .init("domain", domain))
        try engine.refusable("attach-restored", arguments) { (engine) throws(Refusal) in
            guard let device = engine.machine.device(requester) else {
                throw Refusal(.ENODEV, .deviceMissing, requester: requester)
            }
            guard engine.domainTable.contains(domain), session.map({ engine.sessionTable.contains($0) }) ?? true else {
                throw Refusal(.ENOENT, requester: requester, pasid: pasid)
            }
            let key = AttachmentKey(requester, pasid)
            if let attachment = engine.attachmentTable[key] {
                guard attachment.domain == engine.blockedDomain, attachment.state == .live else {
                    throw Refusal(.EBUSY, requester: requester, pasid: pasid)
                }
            }
            let found = try engine.verify(device, pasid, listed: listed, domain: domain, space: space)
            guard entryAddress == nil || entryAddress == found.entry else {
                throw Refusal(.EINVAL, .attachmentEntryDiffers, requester: requester, pasid: pasid)
            }
            try engine.takeDeviceTag(of: device, found.space)
            let isInherited = source == .handedOver
            engine.recordTakenOver(
                key, domain: domain, entry: found.entry, space: found.space, state: isInherited ? .restored : .live,
                session: isInherited ? session : nil)
            if isInherited {
                func own(_ group: inout Group) { (group.owner, group.ownerToken) = (.token, ownerToken) }
                guard pasid == nil || engine.groupTable[existing: device.group].owner != .token else { return }
                own(&engine.groupTable[existing: device.group])
            } else if pasid == nil, let hwpt = engine.domainTable[domain]!.hwpt {
                engine.groupTable[device.group]!.hwpt = hwpt
                if let ioas = engine.hostIOAS(of: hwpt) { engine.noteReservations(of: device.group, in: ioas) }
                engine.groupTable[device.group]!.attached.append(requester)
            }
        }
    }

    /// What the take-over listed for the requests, as long as it holds; looked up in memory otherwise.
    private mutating func listedContext(_ requester: RequesterID, _ pasid: PASID?) -> RequestContext? {
        guard isUntouched, let unit = engine.machine.device(requester)?.unit,
            let index = listings[unit]?.index(of: requester.rid, pasid: pasid, guess: nextListed[unit, default: 0])
        else { return nil }
        nextListed[unit] = index + 1
        guard case .context(let context)? = listings[unit]?.entries[index].resolution else { return nil }
        return context
    }

    /// Blocks a device whose domains cannot be taken over: bus master off, lookup entries cleared and invalidated.
    /// What it went through stays held: `domains` by PASID, where they were adopted and are not attached yet; otherwise
    /// frames and tags simply stay taken. `session`: that it came in; `distrusting` as
    /// ``LiveEngine/quarantine(_:distrusting:)``.
    ///
    /// - Throws: `ENODEV`, `EOPNOTSUPP` the group must not be blocked.
    public mutating func quarantine(
        _ requester: RequesterID, holding domains: [PASID?: DomainID] = [:], session: SessionID? = nil,
        distrusting: Bool = false
    ) throws(Refusal) {
        isUntouched = false
        try engine.quarantine(requester, holding: domains, session: session, distrusting: distrusting)
    }

    /// The engine that can allocate. Handed over: every lookup entry that no attachment took over is cleared and
    /// invalidated first, and devices without one get their default domain.
    ///
    /// - Throws: as ``LiveEngine/start(_:configuration:sink:)``; the machine is left as far as it got.
    public consuming func start() throws(Errno) -> LiveEngine {
        switch source {
        case .handedOver: try engine.settleLeftovers(listings)
        case .running: engine.noteStrays()
        }
        engine.note(.phase, "started", [.init("attached", engine.attachmentTable.values.count { $0.state != .live })])
        return engine
    }
}
