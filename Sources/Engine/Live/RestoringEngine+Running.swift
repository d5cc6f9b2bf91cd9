import IOMMUModel

/// The objects above the domains, for a state that is taken over whole: an imported machine's, or a session's.
extension RestoringEngine {
    /// As ``LiveEngine/addBacking(_:base:byteCount:sealed:assumed:)``.
    public mutating func addBacking(
        _ kind: Backing.Kind, base: PhysicalAddress = PhysicalAddress(0), byteCount: UInt64 = 0, sealed: Bool = true,
        assumed: Bool = false
    ) throws(Errno) -> BackingID {
        try engine.addBacking(kind, base: base, byteCount: byteCount, sealed: sealed, assumed: assumed)
    }

    /// A session: an incoming one when the source is a former kernel.
    ///
    /// - Throws: `EINVAL`, `EEXIST` as ``LiveEngine/createSession(_:)``.
    public mutating func addSession(_ name: String) throws(Errno) -> SessionID {
        let incoming = source == .handedOver
        return try engine.operation("add-session", [.init("name", name)], results: { [.init("session", $0)] }) {
            (engine) throws(Errno) in try engine.addSession(name, isIncoming: incoming)
        }
    }

    /// An address space whose areas stand in tables already. What groups reserve is not asked: the areas are a fact.
    ///
    /// - Throws: `EINVAL` areas that overlap, are not whole pages, or have no backing.
    public mutating func addIOAS(areas: [IOPTArea], origin: AreaOrigin) throws(Errno) -> IOASID {
        try engine.operation("add-ioas", [.init("areas", areas.count)], results: { [.init("ioas", $0)] }) {
            (engine) throws(Errno) in
            let areas = areas.sorted { $0.range < $1.range }
            for (index, area) in areas.enumerated() {
                guard area.range.isAligned(toLog2: 12), area.offset & 0xfff == 0, !area.protection.isEmpty,
                    engine.physicalAddress(of: area) != nil,
                    index == 0 || areas[index - 1].range.last < area.range.first
                else { throw .EINVAL }
            }
            let id = IOASID(engine.newID())
            engine.ioasTable[id] = IOAS(id: id, allowed: nil, areaOrigin: origin)
            engine.ioasTable[id]!.areas = areas
            return id
        }
    }

    /// The iommufd object of a domain whose tables hold `ioas` already; before the domain is attached. For
    /// ``Source/running`` only.
    ///
    /// - Throws: `ENOENT`, `EINVAL` not a running paging domain, `EBUSY` it has one already, `EADDRINUSE` the token is
    ///   taken.
    public mutating func addHWPT(ioas: IOASID, domain: DomainID, token: UInt64?) throws(Errno) -> HWPTID {
        let running = source == .running
        return try engine.operation(
            "add-hwpt", [.init("ioas", ioas), .init("domain", domain)], results: { [.init("hwpt", $0)] }
        ) { (engine) throws(Errno) in
            guard engine.ioasTable[ioas] != nil, let record = engine.domainTable[domain] else { throw .ENOENT }
            guard running, record.kind == .paging, record.users.isEmpty else { throw .EINVAL }
            guard record.hwpt == nil else { throw .EBUSY }
            if let token, engine.hwptTable.values.contains(where: { $0.token == token }) { throw .EADDRINUSE }
            let id = HWPTID(engine.newID())
            engine.hwptTable[id] = HWPT(id: id, ioas: ioas, domain: domain, token: token)
            engine.domainTable[domain]!.hwpt = id
            engine.ioasTable[ioas]!.hwpts.append(id)
            return id
        }
    }

    /// The iommufd object of a nested domain, whose parent's object is there; before the domain is attached. For
    /// ``Source/running`` only.
    ///
    /// - Throws: `ENOENT` no such domain, or its parent has no object, `EINVAL` not a running nested domain, `EBUSY` it has
    ///   one already, `EADDRINUSE` the token is taken.
    public mutating func addNestedHWPT(domain: DomainID, token: UInt64?) throws(Errno) -> HWPTID {
        let running = source == .running
        return try engine.operation("add-nested-hwpt", [.init("domain", domain)], results: { [.init("hwpt", $0)] }) {
            (engine) throws(Errno) in
            guard let record = engine.domainTable[domain] else { throw .ENOENT }
            guard running, record.kind == .nested, record.users.isEmpty else { throw .EINVAL }
            guard record.hwpt == nil else { throw .EBUSY }
            guard let parent = record.parent.flatMap({ engine.domainTable[$0]?.hwpt }) else { throw .ENOENT }
            if let token, engine.hwptTable.values.contains(where: { $0.token == token }) { throw .EADDRINUSE }
            let id = HWPTID(engine.newID())
            engine.hwptTable[id] = HWPT(id: id, ioas: nil, domain: domain, token: token)
            engine.hwptTable[id]!.parent = parent
            engine.domainTable[domain]!.hwpt = id
            return id
        }
    }

    /// Who owns a group's DMA in the state taken over.
    ///
    /// - Throws: `ENOENT`.
    public mutating func setOwner(
        _ owner: DMAOwner, token: UInt64 = 0, assumed: Bool = false, of group: GroupID
    ) throws(Errno) {
        guard engine.groupTable[group] != nil else { throw .ENOENT }
        engine.groupTable[group]!.owner = owner
        engine.groupTable[group]!.ownerToken = token
        engine.groupTable[group]!.ownerAssumed = assumed
    }
}
