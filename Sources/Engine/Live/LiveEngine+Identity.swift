import IOMMUModel

/// Pass-through for devices that VFIO owns: the untagged requests go through an entry without tables.
extension LiveEngine {
    /// Puts the devices of `requester`'s group into pass-through mode.
    ///
    /// - Throws: `ENODEV`; `EINVAL` the group has no VFIO owner, is on an HWPT, or has nested requests with a PASID, which
    ///   need the host tables of the same entry (AMD); `EBUSY` preserved or inherited; `EOPNOTSUPP` the unit has no
    ///   pass-through (ECAP.PT), or the entry leads to a guest's own GCR3 table (AMD).
    public mutating func attachIdentity(_ requester: RequesterID) throws(Errno) {
        try operation("attach-identity", [.init("device", requester)]) { (engine) throws(Errno) in
            guard let group = engine.group(of: requester) else { throw .ENODEV }
            try engine.requireMutable(group)
            guard group.owner == .vfio, group.hwpt == nil else { throw .EINVAL }
            for member in group.members { try engine.move(AttachmentKey(member), to: engine.identityDomain) }
        }
    }

    /// Settles a claimed pass-through device on the entry it has: there are no tables to replace (D7 → D11).
    ///
    /// - Throws: `ENODEV`; `EINVAL` its domain has tables; `EBUSY` not claimed.
    public mutating func keepIdentity(_ requester: RequesterID) throws(Errno) {
        try operation("keep-identity", [.init("device", requester)]) { (engine) throws(Errno) in
            let key = AttachmentKey(requester)
            guard let attachment = engine.attachmentTable[key] else { throw .ENODEV }
            guard engine.domainTable[attachment.domain]?.kind == .identity else { throw .EINVAL }
            guard attachment.state == .claimed else { throw .EBUSY }
            engine.attachmentTable[key]!.state = .replaced
        }
    }
}
