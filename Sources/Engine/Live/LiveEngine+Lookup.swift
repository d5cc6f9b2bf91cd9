import Hardware
import IOMMUModel
import PageTables

/// From a domain to what the hardware reads: tags, lookup entries, invalidations.
extension LiveEngine {
    /// What the hardware has to do with requests that go through `domain`; `nil` for the blocked domain.
    ///
    /// - Throws: `ENOENT` no such domain, `EINVAL` one without tables.
    func path(of domain: DomainID) throws(Errno) -> TranslationPath? {
        guard let record = domainTable[domain] else { throw .ENOENT }
        switch record.kind {
        case .blocked: return nil
        case .identity: return .passThrough(.readWrite)
        case .paging:
            guard let table = record.table else { throw .EINVAL }
            return .single(table.stage)
        case .nested:
            guard let first = record.guestStage, let host = record.parent.flatMap({ domainTable[$0]?.table }) else {
                throw .EINVAL
            }
            return .nested(first: first, second: host.stage)
        }
    }

    /// The domain's tag on `unit`, allocated when it has none there yet.
    mutating func cacheTag(of domain: DomainID, on unit: UnitID) throws(Errno) -> UInt32 {
        if let tag = domainTable[domain]?.cacheTag(on: unit) { return tag }
        guard let tag = try unitTable[unit]?.tags.allocate() else { throw .ENODEV }
        own(.init(unit: unit, cacheTag: tag), by: domain)
        return tag
    }

    /// Notes that `tag` is `domain`'s.
    mutating func own(_ tag: Domain.CacheTag, by domain: DomainID) {
        guard domainTable[domain]!.cacheTags.contains(tag) == false else { return }
        unitTable[tag.unit]!.tagOwners[tag.cacheTag, default: []].insert(domain)
        domainTable[domain]!.cacheTags.append(tag)
        domainTable[domain]!.cacheTags.sort { ($0.unit, $0.cacheTag) < ($1.unit, $1.cacheTag) }
    }

    /// The tag under which `device`'s requests through `path` are cached. An AMD unit has one per device table entry: a
    /// device with guest tables has a tag of its own, which its PASIDs share.
    private mutating func cacheTag(
        of domain: DomainID, path: TranslationPath, for device: MachineDevice
    ) throws(Errno) -> UInt32 {
        guard machine.unit(device.unit)?.kind == .amdVi else { return try cacheTag(of: domain, on: device.unit) }
        // Host tables alone stand beside no guest ones.
        if path.first?.configuration.format != .amdV1, let tag = unitTable[device.unit]?.deviceTags[device.requester] {
            return tag
        }
        guard path.first?.configuration.format == .x86_64 else { return try cacheTag(of: domain, on: device.unit) }
        guard let tag = try unitTable[device.unit]?.tags.allocate() else { throw .ENODEV }
        unitTable[device.unit]!.deviceTags[device.requester] = tag
        return tag
    }

    /// The tag that the requests of `key` would be cached under after a replace by `hwpt`, taken for it when it has none yet;
    /// `nil` when there is none to have.
    public mutating func replacementTag(of key: AttachmentKey, by hwpt: HWPTID) -> UInt32? {
        guard let device = machine.device(key.requester), let domain = hwptTable[hwpt]?.domain,
            let path = try? path(of: domain)
        else { return nil }
        return try? cacheTag(of: domain, path: path, for: device)
    }

    /// Makes the hardware translate the requests of `key` by `domain`: one change of its lookup entry, then the
    /// invalidations that the old one needs. A present entry is exchanged as a whole (a driver uses one wide store), so
    /// that there is no instant without a domain. On failure nothing has changed.
    ///
    /// - Throws: as ``LookupTables/install(_:for:_:arena:)``; `ENOSPC` no cache tag left.
    mutating func pointEntry(_ key: AttachmentKey, at domain: DomainID) throws(Errno) {
        guard let device = machine.device(key.requester), let unit = machine.unit(device.unit) else { throw .ENODEV }
        let tables = unit.lookupTables(memory: machine.memory.view)
        let old = resolved(key)
        if configuration.defect == .nullWindow, let entry = tables.deviceEntry(device) {
            blockEntry(of: key.requester)
            LookupMemory(unit, memory: machine.memory.view).publish(entry.words, at: entry.address)
        }
        if let path = try path(of: domain) {
            let tag = try cacheTag(of: domain, path: path, for: device)
            do throws(Errno) {
                _ = try tables.install(LookupEntry(path: path, tag: tag), for: device, key.pasid, arena: &arena)
            } catch {
                dropDeviceTag(of: device)
                throw error
            }
        } else {
            _ = tables.clear(device, key.pasid, arena: &arena)
        }
        // What the entry said may be cached for any PASID of the device (an AMD entry decides about all of them).
        unit.invalidateContexts(of: key.requester)
        if let old { unit.invalidate(old.cacheSpace) }
        refreshEntries(of: device)
        dropDeviceTag(of: device)
    }

    /// Points the one entry that names host tables for all of `device`'s requests at `host` (AMD), and forgets what the
    /// caches hold by it. On failure nothing has changed.
    ///
    /// - Throws: as ``LookupTables/rehost(_:to:)``.
    func rehost(_ device: MachineDevice, to host: TranslationStage) throws(Errno) {
        guard let unit = machine.unit(device.unit) else { throw .ENODEV }
        try unit.lookupTables(memory: machine.memory.view).rehost(device, to: host)
        unit.invalidateContexts(of: device.requester)
        for key in attachmentKeys(of: device.requester) {
            if let space = attachmentTable[key]?.space { unit.invalidate(space) }
        }
        // Of requests, too, that the books do not know: the entry decides about them all.
        if let tag = unitTable[device.unit]?.deviceTags[device.requester] { unit.invalidate(tag: tag) }
    }

    /// What the lookup entry says now of the requests of `key`, also where their device may not use PASIDs at all (VT-d's
    /// PASIDE is 0); `nil` when it refuses them, or that cannot be known.
    public func resolved(_ key: AttachmentKey) -> RequestContext? {
        machine.device(key.requester).flatMap { resolved($0, key.pasid) }
    }

    /// The same for the requests of `device` with `pasid`.
    func resolved(_ device: MachineDevice, _ pasid: PASID?) -> RequestContext? {
        guard let unit = machine.unit(device.unit),
            case .context(let context) = unit.hardware.resolve(
                device.requester.rid, pasid: pasid, memory: machine.memory.view, asListed: true),
            // AMD blocks by an entry that lets nothing pass.
            context.path.passThroughRights?.isEmpty != true
        else { return nil }
        return context
    }

    /// Takes down anew where the entries of a device stand and what its requests are cached under: a change of one entry
    /// may have moved or freed others of its tables.
    private mutating func refreshEntries(of device: MachineDevice) {
        guard let unit = machine.unit(device.unit) else { return }
        let tables = unit.lookupTables(memory: machine.memory.view)
        for key in attachmentKeys(of: device.requester) {
            attachmentTable[key]!.entryAddress = tables.entryAddress(device, key.pasid)
            attachmentTable[key]!.space = resolved(key)?.cacheSpace
        }
    }

    /// Frees the tag of a device that has no guest tables any more.
    mutating func dropDeviceTag(of device: MachineDevice) {
        guard let tag = unitTable[device.unit]?.deviceTags[device.requester] else { return }
        // A quarantined device may still be busy with what is cached under its tag.
        let isNeeded = attachmentKeys(of: device.requester).contains {
            attachmentTable[$0]?.state == .quarantined || resolved($0)?.cacheTag == tag
        }
        guard !isNeeded else { return }
        machine.unit(device.unit)?.invalidate(tag: tag)
        unitTable[device.unit]!.deviceTags[device.requester] = nil
        unitTable[device.unit]!.tags.free(tag)
    }

    /// Forgets what the caches hold of `domain`: all, or what `range` touches. Guests' tables below it are in the caches
    /// as the whole way: they go as a whole.
    func invalidate(_ domain: DomainID, range: IOVARange? = nil) {
        guard let record = domainTable[domain] else { return }
        for tag in record.cacheTags {
            machine.unit(tag.unit)?.invalidate(CacheSpace(tag: tag.cacheTag, pasid: nil), range: range)
        }
        for key in record.users {
            guard let space = attachmentTable[key]?.space, let unit = machine.device(key.requester)?.unit else {
                continue
            }
            machine.unit(unit)?.invalidate(space, range: range)
        }
        for child in domainTable.values where child.parent == domain { invalidate(child.id) }
    }
}

extension UnitHardware {
    /// The smallest supported shape of `format` for input addresses of `addressBits` bits; `nil` bits: the largest
    /// supported (of tables that grow: the smallest, which may grow as far as the unit can walk).
    func tableConfiguration(format: PageTableFormatKind, addressBits: Int?) -> PageTableConfiguration? {
        let shapes = PageTableConfiguration.topLevels(of: format).compactMap {
            // AMD's untagged requests, through PASID 0's tables, are not sign-extended: what they reach, all reach.
            hardware.configuration(
                format: format, topLevel: $0, addressBits: nil, signExtended: format == .x86_64 && kind != .amdVi)
        }
        guard format == .amdV1 else {
            guard let addressBits else { return shapes.last }
            return shapes.first { $0.addressBits >= addressBits }
        }
        // As Linux: three levels to begin with.
        guard let first = shapes.first(where: { $0.topLevel == 2 }) ?? shapes.first else { return nil }
        guard let addressBits else { return first }
        return addressBits <= first.maximumAddressBits ? first : nil
    }

    /// The host tables that a domain of this unit has when nothing else is asked for.
    var defaultFormat: PageTableFormatKind {
        switch kind {
        case .amdVi: .amdV1
        case .armSMMUv3: .armv8Stage2
        case .intelVTd, .riscv: .vtdSecondStage
        }
    }
}

extension PageTable {
    /// The one stage that these tables are.
    var stage: TranslationStage { TranslationStage(configuration: configuration, root: root) }
}
