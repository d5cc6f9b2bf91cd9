import Engine
import Hardware
import IOMMUModel
import PageTables
import Snapshot

extension FrozenEngine {
    /// The frozen state as records: what the sealed generation holds.
    ///
    /// Devices that are not carried are recorded as blocked, for that is what the freeze made them; domains that only they
    /// used are left out, since the memory of their tables is about to be reused. O(records + table pages).
    public borrowing func snapshot() -> Snapshot {
        engine.snapshot(blocked: Set(cleared.map(\.requester)))
    }
}

extension LiveEngine {
    /// The engine's state as records; the requests of the devices in `blocked` are told as blocked.
    borrowing func snapshot(blocked: Set<RequesterID>) -> Snapshot {
        var snapshot = Snapshot(origin: .engine)
        snapshot.units = machine.units.map(\.record)
        snapshot.memoryRanges =
            machine.ramRanges.map { MemoryRangeRecord(kind: .ram, range: $0) }
            + machine.arenaRanges.map { MemoryRangeRecord(kind: .arena, range: $0) }
        if let page = PhysicalRange(first: machine.handoverPage, bytes: 4096) {
            snapshot.memoryRanges.append(MemoryRangeRecord(kind: .handover, range: page))
        }
        recordDevices(into: &snapshot, blocked: blocked)
        recordDomains(into: &snapshot)
        snapshot.engineState = stateRecords()
        snapshot.normalize()
        return snapshot
    }

    private borrowing func recordDevices(into snapshot: inout Snapshot, blocked: Set<RequesterID>) {
        let carried = Set(attachments.filter { $0.state == .preserved }.map(\.requester))
        snapshot.groups = groups.map {
            GroupRecord(id: $0.id, owner: $0.owner, ownerToken: $0.ownerToken, ownerAssumed: $0.ownerAssumed)
        }
        snapshot.devices = devices.map {
            DeviceRecord(
                requester: $0.requester, unit: $0.unit, group: $0.group, hasFunction: $0.hasFunction,
                vendorID: $0.vendorID, deviceID: $0.deviceID, classCode: $0.classCode, driver: $0.driver,
                atsEnabled: $0.atsEnabled, priEnabled: $0.priEnabled, preserved: carried.contains($0.requester))
        }
        snapshot.reservedRegions = machine.reservedRegions.map {
            ReservedRegionRecord(group: $0.group, kind: $0.kind, range: $0.range)
        }
        snapshot.sessions = sessions.map { SessionRecord(id: $0.id, name: $0.name) }
        let blockedDomain = domains.first { $0.kind == .blocked }?.id
        snapshot.attachments = attachments.map {
            let isBlocked = blocked.contains($0.requester)
            return AttachmentRecord(
                requester: $0.requester, pasid: $0.pasid, domain: isBlocked ? blockedDomain ?? $0.domain : $0.domain,
                cacheTag: isBlocked ? nil : $0.space?.tag, cachePASID: isBlocked ? nil : $0.space?.pasid,
                entryAddress: $0.entryAddress)
        }
        snapshot.lookupPages = machine.units.map { unit in
            var pages = PageSet()
            for page in lookupPages(of: unit.id) {
                guard let words = machine.memory.page(at: page.address) else { continue }
                pages.append(address: page.address, level: page.kind.rawValue, words: words)
            }
            return UnitPages(unit: unit.id, pages: pages)
        }
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
            let carried = domain.preservedCount > 0
            snapshot.domains.append(
                DomainRecord(
                    id: domain.id, kind: domain.kind, holder: domain.holder, parent: domain.parent, preserved: carried))
            guard domain.kind != .blocked else { continue }
            for (unit, keys) in Dictionary(grouping: keys, by: { machine.device($0.requester)!.unit }) {
                let walked = resolved(keys[0])?.path
                let tables =
                    switch domain.kind {
                    case .paging: domain.table.map { $0.geometry(walked?.host?.configuration) }
                    case .nested: domain.guestStage.map { DomainUnitRecord.Geometry($0, walked?.first?.configuration) }
                    case .identity, .blocked: DomainUnitRecord.Geometry?.none
                    }
                snapshot.domainUnits.append(DomainUnitRecord(domain: domain.id, unit: unit, tables: tables))
            }
            guard domain.table != nil else { continue }
            var pages = PageSet()
            for page in tablePages(of: domain.id) {
                guard let words = machine.memory.page(at: page.address) else { continue }
                pages.append(address: page.address, level: page.level, words: words)
            }
            snapshot.tablePages.append(DomainPages(domain: domain.id, pages: pages))
        }
        let recorded = Set(snapshot.domains.map(\.id))
        let kept = hwpts.filter { recorded.contains($0.domain) }
        snapshot.hwpts = kept.compactMap { hwpt in
            hostIOAS(of: hwpt.id).map { HWPTRecord(id: hwpt.id, ioas: $0, domain: hwpt.domain, token: hwpt.token) }
        }
        let spaces = Set(snapshot.hwpts.map(\.ioas))
        var files: Set<BackingID> = []
        for ioas in ioases where spaces.contains(ioas.id) {
            snapshot.ioases.append(
                IOASRecord(id: ioas.id, areaOrigin: ioas.areaOrigin, isImmutable: ioas.isImmutable))
            for area in ioas.areas {
                files.insert(area.backing)
                snapshot.areas.append(
                    AreaRecord(
                        ioas: ioas.id, range: area.range, backing: area.backing, offset: area.offset,
                        protection: area.protection))
            }
        }
        snapshot.backings = backings.filter { files.contains($0.id) }.map {
            BackingRecord(
                id: $0.id, kind: $0.kind == .physical ? .physical : .memfd, base: $0.base, byteCount: $0.byteCount,
                isSealed: $0.isSealed, isAssumed: $0.isAssumed)
        }
    }

    /// What replay needs beside the records: clock, random state, number of the last event.
    private borrowing func stateRecords() -> [EngineStateRecord] {
        func record(_ name: String, _ value: UInt64) -> EngineStateRecord {
            EngineStateRecord(name: name, bytes: withUnsafeBytes(of: value.bigEndian) { Array($0) })
        }
        return [
            record("clock", timeNanoseconds), record("random", random.state), record("sequence", lastSequence),
        ]
    }
}

extension UnitHardware {
    /// The unit as the store records it.
    var record: UnitRecord {
        let description = description
        return UnitRecord(
            id: description.id, kind: description.kind, segment: description.segment,
            registerBase: description.registerBase, hostAddressWidth: description.hostAddressWidth,
            registers: description.registers.map { .init(name: $0.name, value: $0.value) },
            encryptionBit: encryptionBit, accessedDirty: accessedDirty)
    }
}

extension PageTable {
    /// Root and shape as the store records them; `walked` is what the unit's entries make of the tables: what the hardware
    /// writes into them, and which addresses it takes, depends on it.
    func geometry(_ walked: PageTableConfiguration?) -> DomainUnitRecord.Geometry {
        DomainUnitRecord.Geometry(TranslationStage(configuration: configuration, root: root), walked)
    }
}

extension DomainUnitRecord.Geometry {
    init(_ stage: TranslationStage, _ walked: PageTableConfiguration?) {
        // AMD extends the sign of some requests' addresses and not of others through the same tables.
        let shape = walked ?? stage.configuration
        self.init(
            format: shape.format, root: stage.root, topLevel: UInt8(stage.configuration.topLevel),
            addressBits: UInt8(shape.addressBits), signExtended: shape.signExtended,
            hardwareUpdatedMask: walked?.hardwareUpdatedMask ?? 0)
    }
}
