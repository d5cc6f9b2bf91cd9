import Engine
import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// What an engine left that died while it replaced restored domains by tables of its own.
extension RestoreWork {
    /// What a dead engine had announced for the requests of `key`, when their entry in memory already leads there.
    private func announced(_ key: AttachmentKey) -> (context: RequestContext, target: ReplaceEvidence.Target)? {
        guard evidence.speaks(of: key), let context = books.engine.resolved(key), let stage = context.path.host,
            let target = evidence.target(of: key, root: stage.root, tag: context.cacheTag)
        else { return nil }
        return (context, target)
    }

    /// True when a dead engine had switched some of the device's requests to new tables.
    func isBeingReplaced(_ attachments: ArraySlice<AttachmentRecord>) -> Bool {
        attachments.contains { announced(AttachmentKey($0.requester, $0.pasid)) != nil }
    }

    /// The domain that a dead engine had announced for the requests, when their entry in memory points to it; `nil`:
    /// damage.
    mutating func rebuiltDomain(
        _ attachment: AttachmentRecord, on unit: UnitID
    ) throws(Refusal) -> Restorer.AttachedDomain? {
        let key = AttachmentKey(attachment.requester, attachment.pasid)
        guard let (context, target) = announced(key), let stage = context.path.host else { return nil }
        let token = token(of: attachment.domain).map { $0 | Self.rebuiltTokenBit }
        let isNested = index.domains[attachment.domain]?.kind == .nested
        let hostToken = isNested ? host(of: attachment.domain, engine: DomainID(0))?.token : token
        let table = TableKey(format: stage.configuration.format, root: stage.root)
        let tag = Domain.CacheTag(unit: unit, cacheTag: context.cacheTag)
        try? books.reserveTag(unit: unit, tag: context.cacheTag)
        if let known = found[table] {
            // The same tables behind another unit, or under the tag of another entry.
            if !isNested { try books.addTag(tag, to: known) }
        } else {
            found[table] = try books.adoptDomain(
                kind: .paging, geometry: target.geometry, on: unit,
                cacheTags: isNested ? [] : [tag], token: hostToken, session: sessions.of(key.requester))
            // Only after a crash: these pages are in no record, so the tree itself says which frames are taken.
            let pages = books.engine.tablePages(of: found[table]!)
            books.hold(frames: pages.compactMap { PhysicalRange(first: $0.address, bytes: 4096) })
        }
        var domain = found[table]!
        if let known = foundNested[attachment.domain] {
            try books.addTag(tag, to: known)
            domain = known
        } else if isNested, case .nested(let first, _) = context.path {
            domain = try books.adoptDomain(
                kind: .nested,
                geometry: .init(
                    format: first.configuration.format, root: first.root,
                    topLevel: UInt8(first.configuration.topLevel), addressBits: UInt8(first.configuration.addressBits),
                    signExtended: first.configuration.signExtended), parent: domain, on: unit,
                cacheTags: [tag], token: token, session: sessions.of(key.requester))
            foundNested[attachment.domain] = domain
        }
        try attachRestored(
            attachment, to: domain, entryAddress: nil,
            space: CacheSpace(tag: context.cacheTag, pasid: context.cachePASID))
        foundReplaced.append(key)
        return Restorer.AttachedDomain(
            recorded: attachment.domain, engine: domain, token: token, isRecordedTree: false,
            host: isNested ? host(of: attachment.domain, engine: found[table]) : nil)
    }
}
