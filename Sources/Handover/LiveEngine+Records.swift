import Engine
import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// One record each of what an engine has.
extension LiveEngine {
    /// What never changes while a machine runs.
    borrowing func fixedRecords() -> (ranges: [MemoryRangeRecord], regions: [ReservedRegionRecord]) {
        var ranges =
            machine.ramRanges.map { MemoryRangeRecord(kind: .ram, range: $0) }
            + machine.arenaRanges.map { MemoryRangeRecord(kind: .arena, range: $0) }
        if let page = PhysicalRange(first: machine.handoverPage, bytes: 4096) {
            ranges.append(MemoryRangeRecord(kind: .handover, range: page))
        }
        let regions = machine.reservedRegions.map {
            ReservedRegionRecord(group: $0.group, kind: $0.kind, range: $0.range)
        }
        return (ranges, regions)
    }

    /// A domain on one unit; `user` is the first of the requests there that go through it.
    borrowing func record(of domain: Domain, on unit: UnitID, user: AttachmentKey) -> DomainUnitRecord {
        let tables: DomainUnitRecord.Geometry?
        switch domain.kind {
        case .paging: tables = domain.table?.geometry(resolved(user)?.path.host?.configuration)
        case .nested:
            let walked = resolved(user)?.path
            tables = domain.guestStage.map { DomainUnitRecord.Geometry($0, walked?.first?.configuration) }
        case .identity, .blocked: tables = nil
        }
        return DomainUnitRecord(domain: domain.id, unit: unit, tables: tables)
    }

    /// The pages of a paging domain's tables.
    borrowing func tablePageSet(of domain: DomainID) -> PageSet {
        var pages = PageSetBuilder()
        visitTables(of: domain) { table in
            pages.add(address: table.page, level: UInt8(table.level), words: table.words, ends: table.ends)
        }
        return pages.finish()
    }

    /// The pages of a unit's lookup structures.
    borrowing func lookupPageSet(of unit: UnitID) -> PageSet {
        var pages = PageSet()
        for page in lookupPages(of: unit) {
            guard let words = machine.memory.page(at: page.address) else { continue }
            pages.append(address: page.address, level: page.kind.rawValue, words: words)
        }
        return pages
    }

    /// What replay needs beside the records: clock, random state, number of the last event and of the last object, and of
    /// the devices what their records do not say, unless that is told already; where there have been several sessions,
    /// which one each device is in.
    borrowing func stateRecords(areDevicesTold: Bool = false) -> [EngineStateRecord] {
        func record(_ name: String, _ value: UInt64) -> EngineStateRecord {
            EngineStateRecord(name: name, bytes: withUnsafeBytes(of: value.bigEndian) { Array($0) })
        }
        var records = [record("clock", timeNanoseconds)]
        if !areDevicesTold {
            records.append(EngineStateRecord(name: DeviceTraits.rowName, bytes: DeviceTraits.bytes(of: devices)))
        }
        records.append(record("last-id", UInt64(lastObjectID)))
        records.append(record("random", random.state))
        records.append(record("sequence", lastSequence))
        if hasHadSeveralSessions {
            records.append(
                EngineStateRecord(name: DeviceSessions.rowName, bytes: DeviceSessions.bytes(of: attachments)))
        }
        return records
    }
}

extension GroupRecord {
    init(_ group: Group) {
        self.init(id: group.id, owner: group.owner, ownerToken: group.ownerToken, ownerAssumed: group.ownerAssumed)
    }
}

extension SessionRecord {
    /// `nil`: one that came over goes no further; what in it was not claimed is blocked before the jump.
    init?(_ session: Session) {
        guard !session.isIncoming else { return nil }
        self.init(id: session.id, name: session.name)
    }
}

extension DeviceRecord {
    init(_ device: MachineDevice, preserved: Bool) {
        self.init(
            requester: device.requester, unit: device.unit, group: device.group, hasFunction: device.hasFunction,
            vendorID: device.vendorID, deviceID: device.deviceID, classCode: device.classCode, driver: device.driver,
            atsEnabled: device.atsEnabled, priEnabled: device.priEnabled, preserved: preserved)
    }
}

extension AttachmentRecord {
    /// `blocked`: the domain that the device is blocked by whatever the books say; `nil`: they hold.
    init(_ attachment: Attachment, blocked: DomainID?) {
        self.init(
            requester: attachment.requester, pasid: attachment.pasid, domain: blocked ?? attachment.domain,
            cacheTag: blocked == nil ? attachment.space?.tag : nil,
            cachePASID: blocked == nil ? attachment.space?.pasid : nil, entryAddress: attachment.entryAddress)
    }
}

extension DomainRecord {
    init(_ domain: Domain) {
        self.init(
            id: domain.id, kind: domain.kind, holder: domain.holder, parent: domain.parent,
            preserved: domain.preservedCount > 0)
    }
}

extension IOASRecord {
    init(_ ioas: IOAS) { self.init(id: ioas.id, areaOrigin: ioas.areaOrigin, isImmutable: ioas.isImmutable) }
}

extension IOAS {
    /// Its areas, ascending.
    var areaRecords: [AreaRecord] {
        areas.map { area in
            AreaRecord(
                ioas: id, range: area.range, backing: area.backing, offset: area.offset, protection: area.protection)
        }
    }
}

extension BackingRecord {
    init(_ backing: Backing) {
        self.init(
            id: backing.id, kind: backing.kind == .physical ? .physical : .memfd, base: backing.base,
            byteCount: backing.byteCount, isSealed: backing.isSealed, isAssumed: backing.isAssumed)
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
