import Engine
import IOMMUModel
import Snapshot

/// One pass of a recorder: from what was touched to the records that are different.
struct RecorderPass {
    /// What was told, brought up to date as the pass goes on.
    var keys: RecordedKeys
    var changes = SnapshotChanges(origin: .engine)
    let touched: EngineChanges
    let isFull: Bool
    /// What must be looked at because of something else, beside what was touched.
    private var domains: Set<DomainID>
    var hwpts: Set<HWPTID>
    var ioases: Set<IOASID>
    var files: Set<BackingID>

    init(_ told: RecordedKeys, _ touched: EngineChanges, isFull: Bool) {
        keys = told
        self.touched = touched
        self.isFull = isFull
        domains = touched.domains
        hwpts = touched.hwpts
        ioases = touched.ioases
        files = touched.backings
    }

    /// `cleared`: what a freeze has blocked; `nil`: the engine runs.
    mutating func run(_ engine: borrowing LiveEngine, cleared: Set<RequesterID>?) {
        recordUnits(engine)
        recordOwners(engine)
        recordDevices(engine, cleared)
        recordDomains(engine)
        recordObjects(engine)
        let areDevicesTold = !isFull && keys.deviceChanges == engine.machine.deviceChanges
        keys.deviceChanges = engine.machine.deviceChanges
        for record in engine.stateRecords(areDevicesTold: areDevicesTold)
        where keys.engineState.updateValue(record.bytes, forKey: record.name) != record.bytes {
            changes.records.engineState.append(record)
        }
        keys.isEmpty = false
        sort()
    }

    private mutating func recordUnits(_ engine: borrowing LiveEngine) {
        if keys.isEmpty {
            (changes.records.memoryRanges, changes.records.reservedRegions) = engine.fixedRecords()
        }
        for unit in engine.machine.units {
            let record = unit.record
            if keys.units.updateValue(record, forKey: unit.id) != record { changes.records.units.append(record) }
            let writes = keys.lookupWrites.updateValue(unit.lookupWrites, forKey: unit.id)
            guard isFull || writes != unit.lookupWrites || engine.isLookupShared(unit) else { continue }
            changes.records.lookupPages.append(UnitPages(unit: unit.id, pages: engine.lookupPageSet(of: unit.id)))
        }
    }

    private mutating func recordOwners(_ engine: borrowing LiveEngine) {
        for id in touched.groups {
            Self.note(
                id, engine.group(id).map { GroupRecord($0) }, in: &keys.groups, &changes.records.groups,
                &changes.gone.groups)
        }
        for id in touched.sessions {
            Self.note(
                id, engine.session(id).flatMap { SessionRecord($0) }, in: &keys.sessions,
                &changes.records.sessions, &changes.gone.sessions)
        }
    }

    // MARK: Devices and attachments

    private mutating func recordDevices(_ engine: borrowing LiveEngine, _ cleared: Set<RequesterID>?) {
        let isCarrying = engine.sessions.contains { !$0.devices.isEmpty }
        var requesters = Set(touched.attachments.lazy.map(\.requester))
        if isFull || isCarrying != keys.isCarrying {
            for device in engine.devices { requesters.insert(device.requester) }
        }
        keys.isCarrying = isCarrying
        // Of a running engine, those that a freeze has blocked and a thaw has put back, too.
        requesters.formUnion(cleared?.symmetricDifference(keys.blocked) ?? keys.blocked)
        guard !requesters.isEmpty else { return }
        let blockedDomain = engine.blockedDomainID
        for requester in requesters {
            guard let device = engine.machine.device(requester) else { continue }
            let now = engine.attachmentKeys(of: requester)
            let isPreserved = now.contains {
                engine.attachment(requester, pasid: $0.pasid)?.state == .preserved
            }
            Self.note(
                requester, DeviceRecord(device, preserved: isPreserved), in: &keys.devices, &changes.records.devices,
                &changes.gone.devices)
            let isBlocked =
                cleared?.contains(requester) ?? (isCarrying && !isPreserved && engine.isBlockable(device.group))
            if isBlocked { keys.blocked.insert(requester) } else { keys.blocked.remove(requester) }
            for key in now {
                let record = engine.attachment(requester, pasid: key.pasid).map {
                    AttachmentRecord($0, blocked: isBlocked ? blockedDomain : nil)
                }
                note(key, record, engine)
            }
        }
        for key in touched.attachments where engine.attachment(key.requester, pasid: key.pasid) == nil {
            note(key, nil, engine)
        }
    }

    private mutating func note(_ key: AttachmentKey, _ record: AttachmentRecord?, _ engine: borrowing LiveEngine) {
        let former = keys.attachments[key]
        if let id = former?.domain { domains.insert(id) }
        if let id = record?.domain { domains.insert(id) }
        guard former != record else { return }
        if former?.domain != record?.domain {
            if let id = former?.domain { setUser(key, of: id, to: false, engine) }
            if let id = record?.domain { setUser(key, of: id, to: true, engine) }
        }
        keys.attachments[key] = record
        if let record {
            changes.records.attachments.append(record)
        } else {
            changes.gone.attachments.append(key)
        }
    }

    private mutating func setUser(
        _ key: AttachmentKey, of id: DomainID, to isUser: Bool, _ engine: borrowing LiveEngine
    ) {
        keys.users.set(key, of: id, to: isUser)
        guard let parent = parent(of: id, engine) else { return }
        keys.children.set(id, of: parent, to: keys.users[id] != nil)
        domains.insert(parent)
    }

    /// A domain's parent never changes.
    private func parent(of id: DomainID, _ engine: borrowing LiveEngine) -> DomainID? {
        engine.domain(id)?.parent ?? keys.domains[id]?.parent
    }

    // MARK: Domains

    private mutating func recordDomains(_ engine: borrowing LiveEngine) {
        for id in hwpts {
            if let domain = engine.hwpt(id)?.domain { domains.insert(domain) }
            if let domain = keys.hwpts[id]?.domain { domains.insert(domain) }
        }
        // What is said of a guest's tables and of the host's below them is read off one entry.
        for id in domains { if let parent = parent(of: id, engine) { domains.insert(parent) } }
        for id in domains { domains.formUnion(keys.children[id] ?? []) }
        for id in domains {
            if let hwpt = keys.hwptOfDomain[id] { hwpts.insert(hwpt) }
            guard keys.isUsed(id), let domain = engine.domain(id) else {
                removeDomain(id)
                continue
            }
            if let hwpt = domain.hwpt { hwpts.insert(hwpt) }
            Self.note(id, DomainRecord(domain), in: &keys.domains, &changes.records.domains, &changes.gone.domains)
            guard domain.kind != .blocked else { continue }
            recordUnits(of: domain, engine)
            guard domain.table != nil, isFull || touched.domains.contains(id) || keys.pageCounts[id] == nil else {
                continue
            }
            let pages = engine.tablePageSet(of: id)
            keys.pageCounts[id] = pages.count
            changes.records.tablePages.append(DomainPages(domain: id, pages: pages))
        }
    }

    private mutating func removeDomain(_ id: DomainID) {
        guard keys.domains.removeValue(forKey: id) != nil else { return }
        changes.gone.domains.append(id)
        for unit in (keys.domainUnits.removeValue(forKey: id) ?? [:]).keys {
            changes.gone.domainUnits.append(DomainUnitKey(domain: id, unit: unit))
        }
        if keys.pageCounts.removeValue(forKey: id) != nil { changes.gone.tablePages.append(id) }
    }

    /// The domain on each unit that a device of its users is behind.
    private mutating func recordUnits(of domain: Domain, _ engine: borrowing LiveEngine) {
        var first: [UnitID: AttachmentKey] = [:]
        for user in [domain.id] + (keys.children[domain.id] ?? []) {
            for key in keys.users[user] ?? [] {
                guard let unit = engine.machine.device(key.requester)?.unit else { continue }
                if let other = first[unit], other < key { continue }
                first[unit] = key
            }
        }
        var records: [UnitID: DomainUnitRecord] = [:]
        for (unit, key) in first { records[unit] = engine.record(of: domain, on: unit, user: key) }
        let former = keys.domainUnits[domain.id] ?? [:]
        // What is kept is not touched: it is shared with what was told, and would be copied as a whole.
        guard former != records else { return }
        keys.domainUnits[domain.id] = records
        for (unit, record) in records where former[unit] != record { changes.records.domainUnits.append(record) }
        for unit in former.keys where records[unit] == nil {
            changes.gone.domainUnits.append(DomainUnitKey(domain: domain.id, unit: unit))
        }
    }

    // MARK: Books

    /// Compares the record of `key` with the one that was told, and tells the difference.
    static func note<Key: Hashable, R: Equatable>(
        _ key: Key, _ record: R?, in told: inout [Key: R], _ new: inout [R], _ gone: inout [Key]
    ) {
        let former = told[key]
        guard former != record else { return }
        told[key] = record
        if let record { new.append(record) } else { gone.append(key) }
    }

    private mutating func sort() {
        changes.records.normalize()
        changes.areaOwners.sort()
        changes.gone.groups.sort()
        changes.gone.devices.sort()
        changes.gone.sessions.sort()
        changes.gone.backings.sort()
        changes.gone.ioases.sort()
        changes.gone.domains.sort()
        changes.gone.domainUnits.sort()
        changes.gone.hwpts.sort()
        changes.gone.attachments.sort()
        changes.gone.tablePages.sort()
    }
}
