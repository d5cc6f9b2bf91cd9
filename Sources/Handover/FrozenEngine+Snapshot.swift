import Engine
import IOMMUModel
import Snapshot

extension FrozenEngine {
    /// The frozen state as records: what the sealed generation holds.
    ///
    /// Devices that are not carried are recorded as blocked, for that is what the freeze made them; domains that only they
    /// used are left out, since the memory of their tables is about to be reused. O(records + table pages); a
    /// ``SnapshotRecorder`` that went along while the engine ran tells the same in O(changes).
    public borrowing func snapshot() -> Snapshot {
        engine.snapshot(blocked: Set(cleared.map(\.requester)))
    }
}

extension LiveEngine {
    /// The engine's state as records; the requests of the devices in `blocked` are told as blocked.
    borrowing func snapshot(blocked: Set<RequesterID>) -> Snapshot {
        var snapshot = Snapshot(origin: .engine)
        snapshot.units = machine.units.map(\.record)
        (snapshot.memoryRanges, snapshot.reservedRegions) = fixedRecords()
        recordDevices(into: &snapshot, blocked: blocked)
        recordDomains(into: &snapshot)
        snapshot.engineState = stateRecords()
        snapshot.normalize()
        return snapshot
    }

    private borrowing func recordDevices(into snapshot: inout Snapshot, blocked: Set<RequesterID>) {
        let carried = Set(attachments.filter { $0.state == .preserved }.map(\.requester))
        snapshot.groups = groups.map { GroupRecord($0) }
        snapshot.devices = devices.map { DeviceRecord($0, preserved: carried.contains($0.requester)) }
        snapshot.sessions = sessions.compactMap { SessionRecord($0) }
        let blockedDomain = domains.first { $0.kind == .blocked }?.id
        snapshot.attachments = attachments.map {
            AttachmentRecord($0, blocked: blocked.contains($0.requester) ? blockedDomain : nil)
        }
        snapshot.lookupPages = machine.units.map { UnitPages(unit: $0.id, pages: lookupPageSet(of: $0.id)) }
    }

    private borrowing func recordDomains(into snapshot: inout Snapshot) {
        var used: [DomainID: [AttachmentKey]] = [:]
        for attachment in snapshot.attachments {
            let key = AttachmentKey(attachment.requester, attachment.pasid)
            used[attachment.domain, default: []].append(key)
            // A guest's tables need the host's below them.
            if let parent = domain(attachment.domain)?.parent { used[parent, default: []].append(key) }
        }
        for domain in domains {
            guard let keys = used[domain.id] else { continue }
            snapshot.domains.append(DomainRecord(domain))
            guard domain.kind != .blocked else { continue }
            for (unit, keys) in Dictionary(grouping: keys, by: { machine.device($0.requester)!.unit }) {
                snapshot.domainUnits.append(record(of: domain, on: unit, user: keys[0]))
            }
            guard domain.table != nil else { continue }
            snapshot.tablePages.append(DomainPages(domain: domain.id, pages: tablePageSet(of: domain.id)))
        }
        let recorded = Set(snapshot.domains.map(\.id))
        let kept = hwpts.filter { recorded.contains($0.domain) }
        snapshot.hwpts = kept.compactMap { hwpt in
            hostIOAS(of: hwpt.id).map { HWPTRecord(id: hwpt.id, ioas: $0, domain: hwpt.domain, token: hwpt.token) }
        }
        let spaces = Set(snapshot.hwpts.map(\.ioas))
        var files: Set<BackingID> = []
        for ioas in ioases where spaces.contains(ioas.id) {
            snapshot.ioases.append(IOASRecord(ioas))
            snapshot.areas += ioas.areaRecords
            files.formUnion(ioas.areas.lazy.map(\.backing))
        }
        snapshot.backings = backings.filter { files.contains($0.id) }.map { BackingRecord($0) }
    }
}
