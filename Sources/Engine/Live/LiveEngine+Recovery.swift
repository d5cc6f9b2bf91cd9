import IOMMUModel

/// What happens to an inherited domain after the restore: claim, adopt, release, finish.
extension LiveEngine {
    /// VFIO takes DMA ownership of a restored device through its session (D6 → D7), or of one whose agent died (E2): what
    /// that one adopted is found again. A second claim through the same session is answered as the first.
    ///
    /// - Throws: `ENODEV`, `ENOENT` no such session, or the device was not restored, `EBUSY` it came in another session
    ///   or is settled otherwise.
    public mutating func claim(_ requester: RequesterID, session: SessionID) throws(Errno) {
        try operation("claim", [.init("device", requester), .init("session", session)]) { (engine) throws(Errno) in
            guard engine.sessionTable[session]?.isIncoming == true else { throw .ENOENT }
            guard let group = engine.group(of: requester) else { throw .ENODEV }
            let keys = engine.attachmentKeys(of: requester)
            for key in keys {
                guard let attachment = engine.attachmentTable[key], let home = attachment.session else { throw .ENOENT }
                guard home == session, attachment.state.isInherited || attachment.state == .replaced else {
                    throw .EBUSY
                }
            }
            for key in keys where engine.attachmentTable[key]!.state.isUnclaimed {
                let domain = engine.attachmentTable[key]!.domain
                let adopted = engine.domainTable[domain]?.hwpt != nil
                engine.attachmentTable[key]!.state = adopted ? .adopted : .claimed
                if adopted { engine.domainTable[domain]!.holder = .iommufd }
            }
            engine.groupTable[group.id]!.owner = .vfio
            engine.openDevices.insert(requester)
            if engine.configuration.defect == .blockAtStart { engine.blockEntry(of: requester) }
        }
    }

    /// The agent of an incoming session died, or did not come in time (E2): whatever of it is not replaced stays attached,
    /// owned by the session's token, until somebody claims it again or it is discarded. What was compared has to be again.
    ///
    /// - Throws: `ENOENT` no such session, `EINVAL` an outgoing one (close it).
    public mutating func abandon(_ session: SessionID) throws(Errno) {
        try operation("abandon-session", [.init("session", session)]) { (engine) throws(Errno) in
            guard let record = engine.sessionTable[session] else { throw .ENOENT }
            guard record.isIncoming else { throw .EINVAL }
            var hosts: Set<DomainID> = []
            for attachment in engine.attachments where attachment.session == session && attachment.state.isInherited {
                engine.attachmentTable[attachment.key]!.state = .orphaned
                engine.openDevices.remove(attachment.requester)
                guard let domain = engine.domainTable[attachment.domain],
                    let group = engine.group(of: attachment.requester)
                else { continue }
                if domain.isInherited { engine.domainTable[domain.id]!.holder = .core }
                hosts.insert(domain.parent ?? domain.id)
                engine.groupTable[group.id]!.owner = .token
            }
            for hwpt in engine.verifiedDomains.keys { engine.verifiedDomains[hwpt]!.subtract(hosts) }
        }
    }

    /// An operator gives a device up that nobody claims (E2, or D6): it is quarantined after a reset. Again for one that is
    /// quarantined changes nothing.
    ///
    /// - Throws: `ENODEV`, `EINVAL` anything else, `EOPNOTSUPP` no reset, or the group must not be blocked.
    public mutating func discard(_ requester: RequesterID) throws(Errno) {
        try operation("discard", [.init("device", requester)]) { (engine) throws(Errno) in
            guard let device = engine.machine.device(requester),
                let state = engine.attachmentTable[AttachmentKey(requester)]?.state
            else { throw .ENODEV }
            guard state.isUnclaimed || state == .quarantined else { throw .EINVAL }
            guard device.canReset else { throw .EOPNOTSUPP }
            do throws(Refusal) { try engine.blockForGood(requester, holding: [:]) } catch { throw error.errno }
        }
    }

    /// Gives iommufd an object for the inherited domain that was preserved under `token` (D7 → D8). Read only: it has no
    /// IOAS, no kernel hands one over.
    ///
    /// - Throws: `ENOENT` no such session, unknown token, or adopted already, `EINVAL` no device of it is claimed yet.
    public mutating func adoptHWPT(token: UInt64, session: SessionID) throws(Errno) -> HWPTID {
        try operation(
            "adopt-hwpt", [.init("token", hex(token)), .init("session", session)], results: { [.init("hwpt", $0)] }
        ) { (engine) throws(Errno) in
            guard engine.sessionTable[session]?.isIncoming == true else { throw .ENOENT }
            guard
                let domain = engine.domainTable.values.first(where: {
                    $0.isInherited && $0.token == token && $0.session == session
                }), domain.hwpt == nil
            else { throw .ENOENT }
            let children = engine.domainTable.values.filter { $0.parent == domain.id }
            let claimed = domain.users.filter { engine.attachmentTable[$0]!.state == .claimed }
            let isInUse = children.contains { child in
                child.users.contains { [.claimed, .adopted].contains(engine.attachmentTable[$0]!.state) }
            }
            guard !claimed.isEmpty || isInUse else { throw .EINVAL }
            let id = HWPTID(engine.newID())
            engine.hwptTable[id] = HWPT(id: id, ioas: nil, domain: domain.id, token: nil, session: session)
            engine.hwptTable[id]!.parent = domain.parent.flatMap { engine.domainTable[$0]?.hwpt }
            engine.domainTable[domain.id]!.hwpt = id
            engine.domainTable[domain.id]!.holder = .iommufd
            for key in claimed { engine.attachmentTable[key]!.state = .adopted }
            return id
        }
    }

    /// Frees the inherited domains that lost their last user in the operation that ends: caches, tags, table pages. Not
    /// earlier, because an operation that fails half-way goes back to them.
    mutating func freeRetired() {
        while let id = retiredDomains.popLast() {
            guard let domain = domainTable[id], domain.users.isEmpty || configuration.defect == .earlyFree,
                !domainTable.values.contains(where: { $0.parent == id })
            else { continue }
            if let hwpt = domain.hwpt { hwptTable[hwpt] = nil }
            destroyDomain(id)
            // The host's tables below a guest go with the last guest.
            if let parent = domain.parent, domainTable[parent]?.isInherited == true { retiredDomains.append(parent) }
        }
    }

    /// Takes `key` off a domain's users.
    mutating func removeUser(_ key: AttachmentKey, of id: DomainID) {
        domainTable[id]!.users.remove(key)
        let isUnused = domainTable[id]!.users.isEmpty || configuration.defect == .earlyFree
        if domainTable[id]!.isInherited, isUnused { retiredDomains.append(id) }
    }

    /// Blocks a device for good: bus master off, blocking domain. What it went through stays held, since the device may
    /// still be busy with it.
    ///
    /// `distrusting`: its tables are not what they should be, so nobody knows which frames are theirs: those stay held for
    /// ever.
    ///
    /// - Throws: `ENODEV`, `EOPNOTSUPP` the group must not be blocked, `EBUSY` preserved.
    public mutating func quarantine(_ requester: RequesterID, distrusting: Bool = false) throws(Refusal) {
        try quarantine(requester, holding: [:], distrusting: distrusting)
    }

    /// `domains`: what the requests of the device that are not attached yet went through, by PASID; `session`: that it came
    /// in.
    mutating func quarantine(
        _ requester: RequesterID, holding domains: [PASID?: DomainID], session: SessionID? = nil, distrusting: Bool
    ) throws(Refusal) {
        var arguments: [Event.Argument] = [.init("device", requester)]
        if distrusting { arguments.append(.init("distrust", "1")) }
        try refusable("quarantine", arguments) { (engine) throws(Refusal) in
            try engine.blockForGood(requester, holding: domains)
            for key in engine.attachmentKeys(of: requester) {
                if let session { engine.attachmentTable[key]!.session = session }
                guard distrusting, let held = engine.attachmentTable[key]!.heldDomain else { continue }
                for id in [held, engine.domainTable[held]?.parent].compactMap(\.self) {
                    engine.domainTable[id]?.isDistrusted = true
                }
            }
        }
    }

    private mutating func blockForGood(
        _ requester: RequesterID, holding domains: [PASID?: DomainID]
    ) throws(Refusal) {
        if configuration.defect == .fallBack { return try fallBack(requester) }
        guard let device = machine.device(requester), let unit = machine.unit(device.unit),
            let untagged = attachmentTable[AttachmentKey(requester)]
        else { throw Refusal(.ENODEV, .deviceMissing, requester: requester) }
        let keys = attachmentKeys(of: requester)
        for key in keys where attachmentTable[key]!.state == .preserved {
            throw Refusal(.EBUSY, requester: requester, pasid: key.pasid)
        }
        guard isBlockable(device.group) else { throw Refusal(.EOPNOTSUPP, requester: requester) }
        guard untagged.state != .quarantined else { return }
        machine.setBusMaster(false, of: requester)
        // Also when the books say blocked: the entry in memory may be one that could not be taken over.
        let tables = unit.lookupTables(memory: machine.memory.view)
        for key in keys.reversed() { _ = tables.clear(device, key.pasid, arena: &arena) }
        if let entry = tables.deviceEntry(device) { tables.block(entry) }
        unit.invalidateContexts(of: requester)
        for pasid in domains.keys {
            let key = AttachmentKey(requester, pasid)
            if attachmentTable[key] == nil { addAttachment(key) }
        }
        for key in attachmentKeys(of: requester) {
            hold(key, domains[key.pasid], tables.entryAddress(device, key.pasid))
        }
    }

    /// Books of a quarantine: the former domain keeps the key among its users, so that its tag and pages stay held.
    private mutating func hold(_ key: AttachmentKey, _ domain: DomainID?, _ address: PhysicalAddress?) {
        let former = attachmentTable[key]!.domain
        if let space = attachmentTable[key]!.space, let unit = machine.device(key.requester)?.unit {
            machine.unit(unit)?.invalidate(space)
        }
        let held = former == blockedDomain ? domain : former
        if former != blockedDomain {
            domainTable[blockedDomain]!.users.insert(key)
            attachmentTable[key]!.domain = blockedDomain
        } else if let held {
            domainTable[held]?.users.insert(key)
        }
        attachmentTable[key]!.entryAddress = address
        attachmentTable[key]!.space = nil
        attachmentTable[key]!.heldDomain = held
        attachmentTable[key]!.state = .quarantined
    }

    /// Gives up what a device inherited: it is reset, its group leaves the HWPT that it was attached to, loses its owner
    /// and returns to the default domain; the inherited domain is freed with its last holder.
    ///
    /// - Throws: `ENODEV`, `EINVAL` nothing inherited, `EBUSY` other devices of the group are attached, or preserved,
    ///   `EOPNOTSUPP` no reset, or the group must not be blocked: the domain stays (lifecycle.md, "not blockable, not
    ///   resettable").
    public mutating func release(_ requester: RequesterID) throws(Errno) {
        try operation("release", [.init("device", requester)]) { (engine) throws(Errno) in
            let key = AttachmentKey(requester)
            guard let device = engine.machine.device(requester), let attachment = engine.attachmentTable[key] else {
                throw .ENODEV
            }
            guard attachment.state.isInherited || attachment.state == .quarantined else { throw .EINVAL }
            let group = engine.groupTable[device.group]!
            guard group.attached.allSatisfy({ $0 == requester }),
                !group.members.contains(where: { engine.attachmentTable[AttachmentKey($0)]!.state == .preserved })
            else { throw .EBUSY }
            let keys = engine.attachmentKeys(of: requester)
            let translates = keys.contains { key in
                let held = engine.attachmentTable[key]!.heldDomain ?? engine.attachmentTable[key]!.domain
                return engine.domainTable[held]?.kind.hasTables == true
            }
            if translates || attachment.state == .quarantined {
                guard device.canReset, engine.isBlockable(device.group) else { throw .EOPNOTSUPP }
                engine.machine.setBusMaster(false, of: requester)
            }
            for key in keys {
                if let held = engine.attachmentTable[key]!.heldDomain {
                    engine.removeUser(key, of: held)
                    engine.attachmentTable[key]!.heldDomain = nil
                }
                guard key.pasid != nil else { continue }
                try engine.move(key, to: engine.blockedDomain)
                engine.removeAttachment(key)
            }
            try engine.attachDefault(requester)
            engine.attachmentTable[key]!.state = .released
            engine.openDevices.remove(requester)
            engine.dropDeviceTag(of: device)
            try engine.leaveHWPT(device.group)
            let others = engine.groupTable[device.group]!.members.flatMap { engine.attachmentKeys(of: $0) }.contains {
                engine.attachmentTable[$0]!.state.isInherited
            }
            if !others {
                // With the owner goes what it had attached, pass-through included.
                for member in engine.groupTable[device.group]!.members
                where engine.attachmentTable[AttachmentKey(member)]!.state != .quarantined {
                    try engine.attachDefault(member)
                }
                engine.groupTable[device.group]!.owner = .none
                engine.groupTable[device.group]!.ownerToken = 0
            }
        }
    }

    /// Takes a group off its HWPT whose last attached device was quarantined: who only followed goes to the default domain.
    private mutating func leaveHWPT(_ id: GroupID) throws(Errno) {
        guard let group = groupTable[id], let hwpt = group.hwpt else { return }
        for member in group.members where attachmentTable[AttachmentKey(member)]!.domain == hwptTable[hwpt]?.domain {
            try attachDefault(member)
        }
        dropReservations(of: id, hwpt: hwpt)
        groupTable[id]!.hwpt = nil
        groupTable[id]!.attached = []
    }

    /// Ends an incoming session: all or nothing. Quarantined devices stay quarantined.
    ///
    /// - Throws: `ENOENT`, `EINVAL` an outgoing session, `EBUSY` naming the first device that is neither replaced nor
    ///   released.
    public mutating func finish(_ session: SessionID) throws(Refusal) {
        try refusable("finish", [.init("session", session)]) { (engine) throws(Refusal) in
            guard let record = engine.sessionTable[session] else { throw Refusal(.ENOENT) }
            guard record.isIncoming else { throw Refusal(.EINVAL) }
            let members = engine.attachments.filter { $0.session == session }
            if let open = members.first(where: { !$0.state.isSettled }) {
                throw Refusal(.EBUSY, requester: open.requester, pasid: open.pasid)
            }
            for member in members {
                engine.attachmentTable[member.key]!.session = nil
                if member.state != .quarantined { engine.attachmentTable[member.key]!.state = .live }
            }
            engine.sessionTable[session] = nil
            if !engine.sessionTable.values.contains(where: \.isIncoming) { engine.verifiedDomains = [:] }
        }
    }
}
