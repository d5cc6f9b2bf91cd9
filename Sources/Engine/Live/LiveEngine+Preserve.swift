import IOMMUModel

/// Sessions, and what they preserve.
extension LiveEngine {
    /// Makes an outgoing session. `name` has 1 to 63 bytes and no white space, which the journal's text form separates
    /// arguments by.
    ///
    /// - Throws: `EINVAL` a bad name, `EEXIST` the name is used.
    public mutating func createSession(_ name: String) throws(Errno) -> SessionID {
        try operation("create-session", [.init("name", name)], results: { [.init("session", $0)] }) {
            (engine) throws(Errno) in try engine.addSession(name, isIncoming: false)
        }
    }

    mutating func addSession(_ name: String, isIncoming: Bool) throws(Errno) -> SessionID {
        guard (1...63).contains(name.utf8.count), !name.utf8.contains(where: { $0 <= 0x20 }) else { throw .EINVAL }
        guard !sessionTable.values.contains(where: { $0.name == name }) else { throw .EEXIST }
        let id = SessionID(newID())
        if !sessionTable.values.isEmpty { hasHadSeveralSessions = true }
        sessionTable[id] = Session(id: id, name: name, isIncoming: isIncoming)
        return id
    }

    /// Closes an outgoing session: everything in it is unpreserved, the last one first.
    ///
    /// - Throws: `ENOENT`, `EINVAL` an incoming session (finish it).
    public mutating func closeSession(_ session: SessionID) throws(Errno) {
        guard let record = sessionTable[session] else { throw .ENOENT }
        guard !record.isIncoming else { throw .EINVAL }
        for requester in record.devices.reversed() { try unpreserve(requester) }
        try operation("close-session", [.init("session", session)]) { (engine) throws(Errno) in
            engine.sessionTable[session] = nil
            for file in engine.backings where file.session == session {
                engine.backingTable[file.id]!.session = nil
            }
        }
    }

    /// Labels an HWPT with the token that it is preserved under; a second mark replaces the first.
    ///
    /// - Throws: `ENOENT`, `EBUSY` adopted or preserved, `EINVAL` no tables, `EADDRINUSE` the token is taken.
    public mutating func mark(_ hwpt: HWPTID, token: UInt64) throws(Errno) {
        try operation("mark", [.init("hwpt", hwpt), .init("token", hex(token))]) { (engine) throws(Errno) in
            guard let record = engine.hwptTable[hwpt] else { throw .ENOENT }
            guard let domain = engine.domainTable[record.domain], domain.kind.hasTables else { throw .EINVAL }
            guard record.session == nil, !domain.isPreserved else { throw .EBUSY }
            guard !engine.hwptTable.values.contains(where: { $0.token == token && $0.id != hwpt }) else {
                throw .EADDRINUSE
            }
            engine.hwptTable[hwpt]!.token = token
        }
    }

    /// Takes the label off an HWPT.
    ///
    /// - Throws: `ENOENT` no such HWPT, or no label, `EBUSY` adopted or preserved.
    public mutating func unmark(_ hwpt: HWPTID) throws(Errno) {
        try operation("unmark", [.init("hwpt", hwpt)]) { (engine) throws(Errno) in
            guard let record = engine.hwptTable[hwpt] else { throw .ENOENT }
            guard record.session == nil, engine.domainTable[record.domain]?.isPreserved == false else { throw .EBUSY }
            guard record.token != nil else { throw .ENOENT }
            engine.hwptTable[hwpt]!.token = nil
        }
    }

    /// Preserves a memory file itself in a session; what is mapped from it can be handed over in that session only.
    ///
    /// - Throws: `ENOENT` no such session or backing, `EINVAL` an incoming session, or no memory file with its seals set,
    ///   `EBUSY` it is preserved already.
    public mutating func preserveFile(_ backing: BackingID, in session: SessionID) throws(Errno) {
        try operation("preserve-file", [.init("backing", backing), .init("session", session)]) {
            (engine) throws(Errno) in
            guard let target = engine.sessionTable[session], let file = engine.backingTable[backing] else {
                throw .ENOENT
            }
            guard !target.isIncoming, file.kind == .memfd, file.isPreservable else { throw .EINVAL }
            guard file.session == nil else { throw .EBUSY }
            engine.backingTable[backing]!.session = session
        }
    }

    /// Adds a device with all that its requests go through to a session. Guards in the order of lifecycle.md,
    /// "Imported machines"; the first that fails is the answer.
    ///
    /// The IOAS becomes immutable first and is checked then, so that nothing can change between; a failed check makes it
    /// mutable again only if this call made it immutable.
    ///
    /// - Throws: `ENOENT` no such session, `EINVAL` an incoming session, `ENODEV` no such device or no PCI function,
    ///   `EOPNOTSUPP` ATS or PRI, or a group of several, `EINVAL` DMA owner not claimed, `EBUSY` preserved already or not
    ///   live, `EINVAL` a domain that is neither pass-through nor a marked HWPT over sealed memory files, or one that is
    ///   preserved in another session, `ENOENT` a file of it is preserved in another session.
    public mutating func preserve(
        _ requester: RequesterID, in session: SessionID, options: PreserveOptions = .init()
    ) throws(Refusal) {
        var arguments: [Event.Argument] = [.init("device", requester), .init("session", session)]
        if options.lab { arguments.append(.init("lab", "1")) }
        try refusable("preserve", arguments) { (engine) throws(Refusal) in
            guard let target = engine.sessionTable[session] else { throw Refusal(.ENOENT) }
            guard !target.isIncoming else { throw Refusal(.EINVAL) }
            let keys = engine.attachmentKeys(of: requester)
            for key in keys where ![.live, .released].contains(engine.attachmentTable[key]!.state) {
                throw Refusal(.EBUSY, requester: requester, pasid: key.pasid)
            }
            try engine.checkDevice(requester, options)
            var done: [AttachmentKey] = []
            do throws(Refusal) {
                for key in keys {
                    try engine.preserve(key, in: session)
                    done.append(key)
                }
            } catch {
                for key in done.reversed() { engine.unpreserve(key) }
                throw error
            }
            for key in keys {
                engine.attachmentTable[key]!.session = session
                engine.attachmentTable[key]!.isLab = options.lab
            }
            engine.sessionTable[session]!.devices.append(requester)
        }
    }

    /// The guards on the device itself; asked again at freeze.
    func checkDevice(_ requester: RequesterID, _ options: PreserveOptions) throws(Refusal) {
        guard let device = machine.device(requester), device.hasFunction else {
            throw Refusal(.ENODEV, .preserveNoFunction, requester: requester)
        }
        guard !options.lab else { return }
        guard !device.atsEnabled, !device.priEnabled else {
            throw Refusal(.EOPNOTSUPP, .preserveATS, requester: requester)
        }
        guard let group = groupTable[device.group], group.isSingleton else {
            throw Refusal(.EOPNOTSUPP, .preserveGroup, requester: requester)
        }
        guard group.owner == .vfio else { throw Refusal(.EINVAL, .preserveOwner, requester: requester) }
    }

    private mutating func preserve(_ key: AttachmentKey, in session: SessionID) throws(Refusal) {
        guard let domain = attachmentTable[key].flatMap({ domainTable[$0.domain] }) else {
            throw Refusal(.ENODEV, requester: key.requester)
        }
        // An untagged domain that cannot be carried is a wrong state of the device; one behind a PASID is a set that
        // would be handed over incomplete.
        let refusal = Refusal(
            key.pasid == nil ? .EINVAL : .EOPNOTSUPP, key.pasid == nil ? .preserveDomain : .preservePASID,
            requester: key.requester, pasid: key.pasid)
        // One iommufd is in one session.
        guard !domain.users.contains(where: { isPreserved($0, outside: session) }) else { throw refusal }
        switch domain.kind {
        case .blocked: throw refusal
        case .identity: break
        case .paging, .nested:
            guard let hwpt = domain.hwpt, hwptTable[hwpt]?.token != nil, let ioas = hostIOAS(of: hwpt),
                domain.parent.map({ isMarked($0) }) ?? true
            else { throw refusal }
            if configuration.defect != .lateImmutability { ioasTable[ioas]!.preservedCount += 1 }
            if let refusal = fileRefusal(ioas, session, refusal) {
                ioasTable[ioas]!.preservedCount -= 1
                throw refusal
            }
        }
        for id in [domain.id, domain.parent].compactMap(\.self) {
            domainTable[id]!.preservedCount += 1
            if domain.kind.hasTables { domainTable[id]!.holder = .session }
        }
        attachmentTable[key]!.state = .preserved
    }

    private func isPreserved(_ key: AttachmentKey, outside session: SessionID) -> Bool {
        // Of what this very call has done so far none is noted yet.
        guard let attachment = attachmentTable[key], attachment.state == .preserved, let home = attachment.session
        else { return false }
        return home != session && domainTable[attachment.domain]?.kind.hasTables == true
    }

    /// Why the areas of `ioas` cannot be handed over in `session`: `refusal` for memory that is in no file or could shrink.
    private func fileRefusal(_ ioas: IOASID, _ session: SessionID, _ refusal: Refusal) -> Refusal? {
        for id in Set(ioasTable[ioas]!.areas.map(\.backing)) {
            guard let file = backingTable[id], file.isPreservable else { return refusal }
            guard file.session == nil || file.session == session else {
                return Refusal(.ENOENT, refusal.rule, requester: refusal.requester, pasid: refusal.pasid)
            }
        }
        return nil
    }

    /// True when the domain's HWPT is marked with a token.
    private func isMarked(_ domain: DomainID) -> Bool {
        domainTable[domain]?.hwpt.flatMap { hwptTable[$0]?.token } != nil
    }

    /// Takes a device back out of its session.
    ///
    /// - Throws: `ENODEV`, `ENOENT` not preserved.
    public mutating func unpreserve(_ requester: RequesterID) throws(Errno) {
        try operation("unpreserve", [.init("device", requester)]) { (engine) throws(Errno) in
            let keys = engine.attachmentKeys(of: requester)
            guard let first = keys.first else { throw .ENODEV }
            guard let attachment = engine.attachmentTable[first], attachment.state == .preserved,
                let session = attachment.session
            else { throw .ENOENT }
            for key in keys.reversed() { engine.unpreserve(key) }
            engine.sessionTable[session]?.devices.removeAll { $0 == requester }
        }
    }

    private mutating func unpreserve(_ key: AttachmentKey) {
        guard let domain = attachmentTable[key]?.domain else { return }
        attachmentTable[key]!.state = .live
        attachmentTable[key]!.session = nil
        attachmentTable[key]!.isLab = false
        for id in [domain, domainTable[domain]!.parent].compactMap(\.self) {
            domainTable[id]!.preservedCount -= 1
            if domainTable[id]!.preservedCount == 0, domainTable[id]!.kind.hasTables {
                domainTable[id]!.holder = .iommufd
            }
        }
        if let ioas = domainTable[domain]!.hwpt.flatMap({ hostIOAS(of: $0) }) {
            ioasTable[ioas]!.preservedCount -= 1
        }
    }
}
