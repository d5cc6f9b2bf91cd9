import IOMMUModel

/// DMA ownership of groups.
extension LiveEngine {
    /// Drivers that leave a group's DMA to whoever claims it; any other bound one owns it (the DMA API).
    static let passiveDrivers: Set<String> = ["", "none", "vfio-pci", "pcieport", "pci-stub"]

    /// VFIO takes DMA ownership of a group for user `token`; its requests are blocked until it is attached.
    ///
    /// The same token may claim again.
    ///
    /// - Throws: `ENOENT` no such group, `EBUSY` owned with another token, a kernel driver is bound, or the group is
    ///   preserved or inherited, `EINVAL` a `direct` region forbids blocking.
    public mutating func claimOwner(_ group: GroupID, token: UInt64) throws(Errno) {
        try operation("claim-owner", [.init("group", group), .init("token", hex(token))]) { (engine) throws(Errno) in
            guard let record = engine.groupTable[group] else { throw .ENOENT }
            if record.owner == .vfio, record.ownerToken == token { return }
            guard record.owner == .none else { throw .EBUSY }
            try engine.requireMutable(record)
            for member in record.members {
                guard Self.passiveDrivers.contains(engine.machine.device(member)?.driver ?? "") else { throw .EBUSY }
            }
            guard engine.isBlockable(group) else { throw .EINVAL }
            for member in record.members { try engine.move(AttachmentKey(member), to: engine.blockedDomain) }
            engine.groupTable[group]!.owner = .vfio
            engine.groupTable[group]!.ownerToken = token
        }
    }

    /// Gives ownership back; the group returns to its default domain.
    ///
    /// - Throws: `ENOENT` no such group, `EINVAL` VFIO does not own it, `EBUSY` still attached, preserved or inherited.
    public mutating func releaseOwner(_ group: GroupID) throws(Errno) {
        try operation("release-owner", [.init("group", group)]) { (engine) throws(Errno) in
            guard let record = engine.groupTable[group] else { throw .ENOENT }
            guard record.owner == .vfio else { throw .EINVAL }
            guard record.hwpt == nil, record.members.allSatisfy({ engine.pasidTable[$0] == nil }) else { throw .EBUSY }
            try engine.requireMutable(record)
            try engine.giveUpOwnership(of: record)
        }
    }

    /// The group returns to its default domain, owned by nobody.
    mutating func giveUpOwnership(of group: Group) throws(Errno) {
        for member in group.members { try attachDefault(member) }
        groupTable[group.id]!.owner = .none
        groupTable[group.id]!.ownerToken = 0
        groupTable[group.id]!.ownerAssumed = false
    }
}
