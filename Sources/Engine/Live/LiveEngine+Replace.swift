import IOMMUModel
import PageTables

/// The hitless switch of requests to other tables (D11).
extension LiveEngine {
    /// Switches a device's requests to another HWPT without an instant in between: one change of the lookup entry (new
    /// root, new tag), then the invalidations. Untagged requests move with the group, those with a PASID alone. An
    /// inherited domain is freed, tag and table pages, with its last attachment.
    ///
    /// An inherited domain is left for one that was compared with it and is equal (``verify(_:pasid:with:)``), unless
    /// `attachNew` insists, which is recorded. For an ordinary attachment neither matters.
    ///
    /// Nested requests of one AMD device can leave their host tables only together:
    /// ``replace(_:with:attachNew:)``.
    ///
    /// - Throws: as ``attach(_:pasid:to:)``; `EINVAL` also not attached, not verified, or a group that inherited several
    ///   domains; `EBUSY` an inherited domain that is not adopted yet.
    public mutating func replace(
        _ requester: RequesterID, pasid: PASID? = nil, with hwpt: HWPTID, attachNew: Bool = false
    ) throws(Errno) {
        var arguments = Event.Argument.device(requester, pasid, .init("hwpt", hwpt))
        if attachNew { arguments.append(.init("attach-new", "1")) }
        try operation("replace", arguments) { (engine) throws(Errno) in
            guard let group = engine.group(of: requester) else { throw .ENODEV }
            guard let target = engine.hwptTable[hwpt] else { throw .ENOENT }
            try engine.requireMutable(ioasOf: hwpt)
            let keys = pasid == nil ? group.members.map { AttachmentKey($0) } : [AttachmentKey(requester, pasid)]
            let inherited = keys.filter { engine.attachmentTable[$0]?.state.isInherited == true }
            guard !inherited.isEmpty else {
                try engine.requireMutable(group)
                if pasid != nil {
                    guard group.owner == .vfio, engine.attachmentTable[keys[0]] != nil else { throw .EINVAL }
                    try engine.move(keys[0], to: target.domain)
                    return
                }
                guard group.owner == .vfio, group.attached.contains(requester) else { throw .EINVAL }
                if group.hwpt != hwpt { try engine.switchGroup(group, to: hwpt) }
                return
            }
            try engine.requireReplaceable(inherited)
            let isVerified = inherited.allSatisfy { engine.isVerified($0, by: hwpt) }
            guard isVerified || attachNew else { throw .EINVAL }
            if pasid == nil {
                try engine.switchGroup(group, to: hwpt)
                engine.groupTable[group.id]!.attached = inherited.map(\.requester)
            } else {
                try engine.move(keys[0], to: target.domain)
            }
            engine.noteReplaced(inherited, verified: isVerified)
        }
    }

    /// Notes that the caller compared the tables that the requests go through with those of `hwpt`, in surviving memory, and
    /// found every address and permission equal (D9 → D10). It holds until `hwpt`'s IOAS changes; of nested requests it is
    /// said of the hosts' tables.
    ///
    /// - Throws: `ENODEV` not attached, `ENOENT` no such HWPT, `EINVAL` one without tables of userspace's own, `EBUSY` the
    ///   domain is not adopted.
    public mutating func verify(_ requester: RequesterID, pasid: PASID? = nil, with hwpt: HWPTID) throws(Errno) {
        try operation("verify", Event.Argument.device(requester, pasid, .init("hwpt", hwpt))) {
            (engine) throws(Errno) in
            guard let attachment = engine.attachmentTable[AttachmentKey(requester, pasid)] else { throw .ENODEV }
            guard engine.hwptTable[hwpt] != nil else { throw .ENOENT }
            guard attachment.state == .adopted else { throw .EBUSY }
            guard let domain = engine.domainTable[attachment.domain], engine.hostIOAS(of: hwpt) != nil else {
                throw .EINVAL
            }
            engine.verifiedDomains[engine.hostHWPT(of: hwpt), default: []].insert(domain.parent ?? domain.id)
        }
    }

    /// Whether ``verify(_:pasid:with:)`` holds for the requests of `key` and `hwpt`.
    public func isVerified(_ key: AttachmentKey, by hwpt: HWPTID) -> Bool {
        guard let domain = attachmentTable[key].flatMap({ domainTable[$0.domain] }) else { return false }
        return verifiedDomains[hostHWPT(of: hwpt)]?.contains(domain.parent ?? domain.id) == true
    }

    /// The HWPT whose tables are the host's: of a nested one its parent.
    private func hostHWPT(of hwpt: HWPTID) -> HWPTID { hwptTable[hwpt]?.parent ?? hwpt }

    /// The areas of `ioas` change: what was compared with its tables has to be compared again.
    mutating func forgetComparisons(with ioas: IOAS) {
        if verifiedDomains.isEmpty { return }
        for hwpt in ioas.hwpts { verifiedDomains[hwpt] = nil }
    }

    private mutating func noteReplaced(_ keys: [AttachmentKey], verified: Bool) {
        for key in keys {
            attachmentTable[key]!.state = .replaced
            attachmentTable[key]!.isReplacedUnverified = !verified
        }
    }

    private func requireReplaceable(_ keys: [AttachmentKey]) throws(Errno) {
        // A group moves as a whole, and only one tree was compared.
        guard Set(keys.compactMap { attachmentTable[$0]?.domain }).count == 1 else { throw .EINVAL }
        for key in keys {
            guard let attachment = attachmentTable[key] else { throw .ENODEV }
            switch (attachment.state, domainTable[attachment.domain]?.kind) {
            case (.adopted, _), (.claimed, .identity): continue
            default: throw .EBUSY
            }
        }
    }

    /// The requests that leave their host tables with those of `key`, itself among them, by key: the nested ones of an AMD
    /// device, whose one device table entry names the host tables of all; otherwise `key` alone. O(PASIDs of the device).
    public func requestsSharingHost(with key: AttachmentKey) -> [AttachmentKey] {
        func isNested(_ key: AttachmentKey) -> Bool {
            attachmentTable[key].flatMap { domainTable[$0.domain] }?.kind == .nested
        }
        guard isNested(key), machine.device(key.requester).flatMap({ machine.unit($0.unit) })?.kind == .amdVi else {
            return [key]
        }
        return attachmentKeys(of: key.requester).filter(isNested)
    }

    /// As ``replace(_:pasid:with:attachNew:)`` for all nested requests of an AMD device at once, each to the HWPT
    /// that `hwpts` has for its PASID (`nil`: untagged): one store exchanges the host tables below all of them, and the
    /// guest's tables stay where they are.
    ///
    /// - Throws: as there; `EINVAL` also when `hwpts` are not the whole of ``requestsSharingHost(with:)``, have not one
    ///   parent, or other guest's tables than the requests have now.
    public mutating func replace(
        _ requester: RequesterID, with hwpts: [PASID?: HWPTID], attachNew: Bool = false
    ) throws(Errno) {
        let targets = hwpts.map { (key: AttachmentKey(requester, $0.key), hwpt: $0.value) }.sorted { $0.key < $1.key }
        var arguments: [Event.Argument] = [.init("device", requester)]
        for (key, hwpt) in targets {
            arguments += [.init("pasid", key.pasid.label), .init("hwpt", hwpt)]
        }
        if attachNew { arguments.append(.init("attach-new", "1")) }
        try operation("replace-together", arguments) { (engine) throws(Errno) in
            guard let group = engine.group(of: requester) else { throw .ENODEV }
            for target in targets {
                guard engine.hwptTable[target.hwpt] != nil else { throw .ENOENT }
                try engine.requireMutable(ioasOf: target.hwpt)
                guard engine.attachmentTable[target.key] != nil else { throw .EINVAL }
            }
            let inherited = targets.map(\.key).filter { engine.attachmentTable[$0]!.state.isInherited }
            let isVerified = targets.allSatisfy { engine.isVerified($0.key, by: $0.hwpt) }
            if inherited.isEmpty {
                try engine.requireMutable(group)
                guard group.owner == .vfio else { throw .EINVAL }
            } else {
                for key in inherited { try engine.requireReplaceable([key]) }
                guard inherited.count == targets.count, isVerified || attachNew else { throw .EINVAL }
            }
            try engine.switchHost(targets, of: group)
            engine.noteReplaced(inherited, verified: isVerified)
        }
    }

    private mutating func switchHost(_ targets: [(key: AttachmentKey, hwpt: HWPTID)], of group: Group) throws(Errno) {
        guard let first = targets.first, let device = machine.device(first.key.requester), group.isSingleton,
            targets.map(\.key) == requestsSharingHost(with: first.key), let parent = hwptTable[first.hwpt]?.parent,
            let host = hwptTable[parent].flatMap({ domainTable[$0.domain]?.table?.stage }),
            machine.unit(device.unit)?.canWalk(host) == true
        else { throw .EINVAL }
        for (key, hwpt) in targets {
            guard hwptTable[hwpt]?.parent == parent,
                let now = domainTable[attachmentTable[key]!.domain]?.guestStage,
                let next = domainTable[hwptTable[hwpt]!.domain]?.guestStage, now.isSameTree(next)
            else { throw .EINVAL }
        }
        // Only untagged requests reserve, and the group with them.
        let untagged = first.key.pasid == nil ? first.hwpt : nil
        let former = group.hwpt.flatMap { hostIOAS(of: $0) }
        let ioas = untagged.flatMap { hostIOAS(of: $0) }
        if let ioas, ioas != former { try reserve(for: group.id, in: ioas) }
        do throws(Errno) {
            try rehost(device, to: host)
        } catch {
            if let ioas, ioas != former { dropReservations(of: group.id, in: ioas) }
            throw error
        }
        for (key, hwpt) in targets { noteMoved(key, to: hwptTable[hwpt]!.domain) }
        guard let untagged else { return }
        if let former, former != ioas { dropReservations(of: group.id, in: former) }
        groupTable[group.id]!.hwpt = untagged
        groupTable[group.id]!.attached = [device.requester]
    }
}
