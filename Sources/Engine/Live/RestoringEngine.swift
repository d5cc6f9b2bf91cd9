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

    /// Begins on a machine whose units translate already. Every device is blocked in the books, nothing is written.
    ///
    /// - Throws: `EFAULT` when the arena's frames are not in memory.
    public init(
        machine: Machine, source: Source, configuration: EngineConfiguration = .init(), sink: @escaping EventSink
    ) throws(Errno) {
        engine = try LiveEngine(bare: machine, configuration: configuration, sink: sink)
        self.source = source
        engine.note(.start, "take-over", [.init("source", source.rawValue), .init("devices", machine.devices.count)])
    }

    /// Takes over a unit's root table in place, with every context table it names.
    ///
    /// `rootTable` is what the record says; `nil`: whatever the register says.
    ///
    /// - Throws: `ENODEV` no such unit, `EINVAL` the unit is not in legacy mode, translation is off, or its root
    ///   register differs, `EEXIST` taken over already, `EFAULT` the root table is not in memory.
    public mutating func takeOver(unit: UnitID, rootTable: PhysicalAddress? = nil) throws(Refusal) {
        try engine.refusable("take-over-unit", [.init("unit", unit)]) { (engine) throws(Refusal) in
            guard let hardware = engine.machine.unit(unit) else { throw Refusal(.ENODEV, .unitMissing) }
            guard engine.unitTable[unit] == nil else { throw Refusal(.EEXIST) }
            let register = hardware.registers.rootTableAddress
            guard register.mode == .legacy, hardware.registers.globalStatus.translationEnabled else {
                throw Refusal(.EINVAL, .vtdTranslationMode)
            }
            guard rootTable == nil || rootTable == register.rootTable else {
                throw Refusal(.EINVAL, .unitRegisterDiffers)
            }
            guard let words = engine.machine.memory.page(at: register.rootTable) else {
                throw Refusal(.EFAULT, .vtdRootTableAddress)
            }
            var state = LiveEngine.UnitState(tags: LiveEngine.tagAllocator(hardware), rootTable: register.rootTable)
            engine.arena.adopt(register.rootTable)
            for bus in 0..<256 {
                let entry = VTDRootEntry(low: words[bus * 2], high: words[bus * 2 + 1])
                guard entry.isPresent, !entry.hasViolation(hostAddressWidth: hardware.hostAddressWidth),
                    engine.machine.memory.page(at: entry.contextTable) != nil
                else { continue }
                state.contextTables[UInt8(bus)] = entry.contextTable
                engine.arena.adopt(entry.contextTable)
            }
            engine.unitTable[unit] = state
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
        /// The root table, 4 KiB aligned.
        public var root: PhysicalAddress
        /// Level of the root table; level 0 maps 4 KiB. VT-d: 2, 3 or 4.
        public var topLevel: UInt8
        /// Width of the input address in bits.
        public var addressBits: UInt8
        /// All as given; ``RestoringEngine/adoptDomain(kind:holder:geometry:cacheTags:token:session:)`` checks them.
        public init(root: PhysicalAddress, topLevel: UInt8, addressBits: UInt8) {
            self.root = root
            self.topLevel = topLevel
            self.addressBits = addressBits
        }
    }

    /// Takes over a domain with the tables at `geometry`, as they are. O(1): of the tables only the root is looked at.
    ///
    /// `cacheTags` are all that its attachments are under: at least one, and any number on one unit. `token` and
    /// `session` are those that it was preserved under. Handed over: the domain is freed, with tags and table pages, when
    /// its last attachment is gone.
    ///
    /// - Throws: `EINVAL` a blocked domain, a paging domain without tables or the reverse, a shape that the unit cannot
    ///   walk, or a tag that was not reserved; `EEXIST` the tag belongs to another domain; `EFAULT` the root is not in
    ///   memory; `ENODEV`, `ENOENT` no such unit or session.
    public mutating func adoptDomain(
        kind: DomainKind, holder: DomainHolder = .core, geometry: Geometry? = nil, cacheTags: [Domain.CacheTag],
        token: UInt64? = nil, session: SessionID? = nil
    ) throws(Refusal) -> DomainID {
        var arguments: [Event.Argument] = [.init("kind", kind.rawValue)]
        if let geometry { arguments.append(.init("root", geometry.root)) }
        if let token { arguments.append(.init("token", hex(token))) }
        let inherited = source == .handedOver
        return try engine.refusable("adopt-domain", arguments, results: { [.init("domain", $0)] }) {
            (engine) throws(Refusal) in
            guard kind != .blocked, (kind == .paging) == (geometry != nil), !cacheTags.isEmpty else {
                throw Refusal(.EINVAL)
            }
            guard session == nil || engine.sessionTable[session!] != nil else { throw Refusal(.ENOENT) }
            try engine.checkReserved(cacheTags)
            let table = try geometry.map { (shape) throws(Refusal) in
                try engine.existingTable(shape, on: cacheTags[0].unit)
            }
            let id = DomainID(engine.newID())
            var domain = Domain(id: id, kind: kind, holder: holder, table: table)
            domain.cacheTags = Set(cacheTags).sorted()
            domain.isInherited = inherited
            domain.token = token
            domain.session = session
            for tag in cacheTags { engine.unitTable[tag.unit]!.tagOwners[tag.cacheTag] = id }
            engine.domainTable[id] = domain
            return id
        }
    }

    /// Attaches a device in the books to the domain that its context entry in memory already names; rewrites nothing.
    ///
    /// `entryAddress` is where the record says the entry stands. Handed over: the device belongs to `session`, and its
    /// group's owner becomes a token, so that nobody but the session's claimer gets it.
    ///
    /// - Throws: `ENODEV` no such device, `ENOENT` no such domain or session, `EOPNOTSUPP` a PASID, `EBUSY` attached
    ///   already, `EINVAL` the entry in memory says something else or stands elsewhere.
    public mutating func attachRestored(
        _ requester: RequesterID, pasid: PASID? = nil, domain: DomainID, session: SessionID? = nil,
        ownerToken: UInt64 = 0, entryAddress: PhysicalAddress? = nil
    ) throws(Refusal) {
        let source = source
        let arguments = Event.Argument.device(requester, pasid) + [.init("domain", domain)]
        try engine.refusable("attach-restored", arguments) { (engine) throws(Refusal) in
            guard pasid == nil else { throw Refusal(.EOPNOTSUPP, requester: requester, pasid: pasid) }
            guard let device = engine.machine.device(requester) else {
                throw Refusal(.ENODEV, .deviceMissing, requester: requester)
            }
            guard engine.domainTable[domain] != nil, session == nil || engine.sessionTable[session!] != nil else {
                throw Refusal(.ENOENT, requester: requester)
            }
            let key = AttachmentKey(requester)
            guard let attachment = engine.attachmentTable[key], attachment.domain == engine.blockedDomain,
                attachment.state == .live
            else { throw Refusal(.EBUSY, requester: requester) }
            let found = try engine.verifiedEntry(of: device, domain: domain)
            guard entryAddress == nil || entryAddress == found.entryAddress else {
                throw Refusal(.EINVAL, .attachmentEntryDiffers, requester: requester)
            }
            engine.recordTakenOver(key, domain: domain, found)
            if source == .handedOver {
                engine.attachmentTable[key]!.state = .restored
                engine.attachmentTable[key]!.session = session
                engine.groupTable[device.group]!.owner = .token
                engine.groupTable[device.group]!.ownerToken = ownerToken
            } else if let hwpt = engine.domainTable[domain]!.hwpt {
                engine.groupTable[device.group]!.hwpt = hwpt
                if let ioas = engine.hwptTable[hwpt]!.ioas { engine.noteReservations(of: device.group, in: ioas) }
                engine.groupTable[device.group]!.attached.append(requester)
            }
        }
    }

    /// Blocks a device whose domain cannot be taken over: bus master off, context entry cleared and invalidated.
    /// What it went through stays held: `domain`, when it was adopted; otherwise its frames and tag simply stay taken.
    ///
    /// - Throws: `ENODEV`, `EOPNOTSUPP` the group must not be blocked, `EBUSY` attached already.
    public mutating func quarantine(_ requester: RequesterID, holding domain: DomainID? = nil) throws(Refusal) {
        try engine.quarantine(requester, holding: domain)
    }

    /// The engine that can allocate. Handed over: every lookup entry that no attachment took over is cleared and
    /// invalidated first, and devices without one get their default domain.
    ///
    /// - Throws: as ``LiveEngine/start(_:configuration:sink:)``; the machine is left as far as it got.
    public consuming func start() throws(Errno) -> LiveEngine {
        switch source {
        case .handedOver: try engine.settleLeftovers()
        case .running: engine.noteStrays()
        }
        engine.note(.phase, "started", [.init("attached", engine.attachments.count { $0.state != .live })])
        return engine
    }
}
