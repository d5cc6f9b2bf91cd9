import IOMMUModel

extension LiveEngine {
    /// Attaches a device's requests to an HWPT: the untagged ones for the whole group, whose devices cannot be told apart
    /// (a group attached to it already only learns of one more device); those with a PASID for the device alone.
    ///
    /// - Throws: `ENODEV` no such device, `ENOENT` no such HWPT, `EOPNOTSUPP` a PASID where unit or device has none, or a
    ///   device that is not alone in its group, `EINVAL` DMA owner not claimed, group on another HWPT or one that must
    ///   not be blocked, a PASID of 0 (untagged requests have it) or wider than the device's, tables that the unit cannot walk, or, on AMD, host tables
    ///   other than those below the device's other requests (one entry names them for all), `EBUSY` already attached,
    ///   preserved, inherited, quarantined or an immutable IOAS, `EADDRINUSE` the IOAS maps or allows what the group
    ///   reserves, `ENOMEM`, `ENOSPC` no cache tag.
    public mutating func attach(_ requester: RequesterID, pasid: PASID? = nil, to hwpt: HWPTID) throws(Errno) {
        try operation("attach", Event.Argument.device(requester, pasid, .init("hwpt", hwpt))) {
            (engine) throws(Errno) in
            let group = try engine.attachableGroup(of: requester, hwpt: hwpt)
            if let pasid {
                try engine.attachPASID(AttachmentKey(requester, pasid), of: group, to: hwpt)
                return
            }
            if let current = group.hwpt {
                guard current == hwpt else { throw .EINVAL }
                guard !group.attached.contains(requester) else { throw .EBUSY }
            } else {
                try engine.switchGroup(group, to: hwpt)
            }
            engine.groupTable[group.id]!.attached.append(requester)
        }
    }

    /// Takes a device off its HWPT; the group's untagged requests are blocked once the last one left, those with a PASID
    /// at once.
    ///
    /// - Throws: `ENODEV`, `ENOENT` not attached, `EBUSY` preserved, inherited or an immutable IOAS.
    public mutating func detach(_ requester: RequesterID, pasid: PASID? = nil) throws(Errno) {
        try operation("detach", Event.Argument.device(requester, pasid)) { (engine) throws(Errno) in
            guard let group = engine.group(of: requester) else { throw .ENODEV }
            try engine.requireMutable(group)
            if let pasid {
                try engine.detachPASID(AttachmentKey(requester, pasid))
                return
            }
            try engine.detachUntagged(requester, of: group)
        }
    }

    /// Takes a device off its group's HWPT; the group is blocked once the last one left.
    mutating func detachUntagged(_ requester: RequesterID, of group: Group) throws(Errno) {
        guard let hwpt = group.hwpt, group.attached.contains(requester) else { throw .ENOENT }
        try requireMutable(ioasOf: hwpt)
        if group.attached.count == 1 {
            for member in group.members { try move(AttachmentKey(member), to: blockedDomain) }
            dropReservations(of: group.id, hwpt: hwpt)
            groupTable[group.id]!.hwpt = nil
        }
        groupTable[group.id]!.attached.removeAll { $0 == requester }
    }

    /// The group of `requester` if it may be attached to `hwpt` at all.
    func attachableGroup(of requester: RequesterID, hwpt: HWPTID) throws(Errno) -> Group {
        guard let group = group(of: requester) else { throw .ENODEV }
        guard hwptTable[hwpt] != nil else { throw .ENOENT }
        try requireMutable(group)
        // One that must not be blocked could never be taken off again; it may have come over in pass-through mode.
        guard group.owner == .vfio, isBlockable(group.id) else { throw .EINVAL }
        try requireMutable(ioasOf: hwpt)
        return group
    }

    /// Points every member of `group` at `hwpt` and moves the group's reservations; all or nothing.
    mutating func switchGroup(_ group: Group, to hwpt: HWPTID) throws(Errno) {
        guard let target = hwptTable[hwpt] else { throw .ENOENT }
        let previousIOAS = group.hwpt.flatMap { hostIOAS(of: $0) }
        let ioas = hostIOAS(of: hwpt)
        if let ioas, ioas != previousIOAS { try reserve(for: group.id, in: ioas) }
        var moved: [(AttachmentKey, DomainID)] = []
        do throws(Errno) {
            for member in group.members where attachmentTable[AttachmentKey(member)]?.state != .quarantined {
                let key = AttachmentKey(member)
                guard let old = attachmentTable[key]?.domain else { throw .ENODEV }
                try move(key, to: target.domain)
                moved.append((key, old))
            }
        } catch {
            for (key, old) in moved.reversed() { try move(key, to: old) }
            if let ioas, ioas != previousIOAS { dropReservations(of: group.id, in: ioas) }
            throw error
        }
        if let previousIOAS, previousIOAS != ioas { dropReservations(of: group.id, in: previousIOAS) }
        groupTable[group.id]!.hwpt = hwpt
    }

    /// Moves one attachment to another domain: the hardware's entry first, then the books.
    mutating func move(_ key: AttachmentKey, to domain: DomainID) throws(Errno) {
        guard let old = attachmentTable[key]?.domain else { throw .ENODEV }
        guard old != domain else { return }
        try pointEntry(key, at: domain)
        noteMoved(key, to: domain)
    }

    /// The books of a move.
    mutating func noteMoved(_ key: AttachmentKey, to domain: DomainID) {
        let old = attachmentTable[key]!.domain
        guard old != domain else { return }
        attachmentTable[key]!.domain = domain
        removeUser(key, of: old)
        domainTable[domain]!.users.insert(key)
        strayEntries.remove(key)
    }

    /// Attaches to what a device without owner uses: the configured default, pass-through for a group that must not be
    /// blocked.
    mutating func attachDefault(_ requester: RequesterID) throws(Errno) {
        guard let group = group(of: requester) else { throw .ENODEV }
        let identity = configuration.defaultDomain == .identity || !isBlockable(group.id)
        try move(AttachmentKey(requester), to: identity ? identityDomain : blockedDomain)
    }

    /// See ``Machine/isBlockable(_:)``.
    public func isBlockable(_ group: GroupID) -> Bool { machine.isBlockable(group) }

    /// - Throws: `EBUSY` when a device of the group is preserved, inherited or quarantined.
    func requireMutable(_ group: Group) throws(Errno) {
        for key in group.members.flatMap({ attachmentKeys(of: $0) }) {
            switch attachmentTable[key]?.state {
            case .live, .replaced, .released: continue
            case .preserved, .restored, .claimed, .adopted, .orphaned, .quarantined: throw .EBUSY
            case nil: throw .ENODEV
            }
        }
    }

    /// The address space that a device's requests through `hwpt` end in: of a nested one its parent's.
    public func hostIOAS(of hwpt: HWPTID) -> IOASID? {
        hwptTable[hwpt].flatMap { $0.ioas ?? $0.parent.flatMap { hwptTable[$0]?.ioas } }
    }

    /// - Throws: `EBUSY` when the IOAS behind `hwpt` is immutable; an adopted HWPT always is.
    func requireMutable(ioasOf hwpt: HWPTID) throws(Errno) {
        guard let ioas = hostIOAS(of: hwpt), let record = ioasTable[ioas] else { throw .EBUSY }
        guard !record.isImmutable else { throw .EBUSY }
    }
}
