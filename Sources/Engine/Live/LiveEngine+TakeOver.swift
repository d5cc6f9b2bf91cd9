import Hardware
import IOMMUModel
import PageTables

/// What ``RestoringEngine`` needs of the books.
extension LiveEngine {
    /// - Throws: `EINVAL` a tag was not reserved, `EEXIST` it belongs to another domain.
    func checkReserved(_ tags: [Domain.CacheTag], isShared: Bool) throws(Refusal) {
        for tag in tags {
            guard let state = unitTable[tag.unit] else { throw Refusal(.ENODEV, .unitMissing) }
            guard state.tags.isInUse(tag.cacheTag) else { throw Refusal(.EINVAL) }
            // Where the PASID is part of the key, one tag may stand for several domains.
            guard isShared || state.tagOwners[tag.cacheTag] == nil else { throw Refusal(.EEXIST, .cacheTagCollision) }
        }
    }

    /// The stage at `geometry` as `unit` walks it.
    func existingStage(_ geometry: RestoringEngine.Geometry, on unit: UnitID) throws(Refusal) -> TranslationStage {
        guard let hardware = machine.unit(unit) else { throw Refusal(.ENODEV, .unitMissing) }
        guard
            let shape = hardware.hardware.configuration(
                format: geometry.format, topLevel: Int(geometry.topLevel), addressBits: Int(geometry.addressBits),
                signExtended: geometry.signExtended),
            shape.addressBits == Int(geometry.addressBits)
        else { throw Refusal(.EINVAL, hardware.widthRule) }
        return TranslationStage(configuration: shape, root: geometry.root)
    }

    /// Tables that are in memory already.
    func existingTable(_ geometry: RestoringEngine.Geometry, on unit: UnitID) throws(Refusal) -> PageTable {
        let stage = try existingStage(geometry, on: unit)
        guard machine.memory.page(at: stage.root) != nil else { throw Refusal(.EFAULT, .tablePageUnknown) }
        return PageTable(configuration: stage.configuration, root: stage.root)
    }

    /// Checks that the entry in memory of `device`'s requests leads to exactly `domain` and is cached under `space` (`nil`:
    /// under one of the domain's own tags). `listed`: what it says, when that is known. Answers where the entry stands and
    /// what it is cached under.
    func verify(
        _ device: MachineDevice, _ pasid: PASID?, listed: RequestContext?, domain: DomainID, space: CacheSpace?
    ) throws(Refusal) -> (entry: PhysicalAddress, space: CacheSpace) {
        let differs = Refusal(.EINVAL, .attachmentEntryDiffers, requester: device.requester, pasid: pasid)
        guard let context = listed ?? resolved(device, pasid), context.path.passThroughRights?.isEmpty != true else {
            throw differs
        }
        if let space {
            guard context.cacheSpace == space else { throw differs }
        } else {
            let tag = Domain.CacheTag(unit: device.unit, cacheTag: context.cacheTag)
            guard domainTable[domain]?.cacheTags.contains(tag) == true else { throw differs }
        }
        let wanted: TranslationPath?
        do throws(Errno) { wanted = try path(of: domain) } catch { throw differs }
        switch (context.path, wanted) {
        case (.passThrough, .passThrough): break
        case (.single(let found), .single(let stage)): guard found.isSameTree(stage) else { throw differs }
        case (.nested(let first, let second), .nested(let guest, let host)):
            guard first.isSameTree(guest), second.isSameTree(host) else { throw differs }
        default: throw differs
        }
        return (context.entryAddress, context.cacheSpace)
    }

    /// Notes the tag of a device's own guest tables (AMD), which was reserved before.
    ///
    /// - Throws: `EINVAL` not reserved, `EEXIST` it is a domain's or another device's.
    mutating func takeDeviceTag(of device: MachineDevice, _ space: CacheSpace) throws(Refusal) {
        guard space.pasid != nil, machine.unit(device.unit)?.kind == .amdVi, let state = unitTable[device.unit]
        else { return }
        let tag = space.tag
        guard state.tags.isInUse(tag) else { throw Refusal(.EINVAL, requester: device.requester) }
        let others = state.deviceTags.filter { $0.value == tag && $0.key != device.requester }
        let owners = state.tagOwners[tag] ?? []
        guard others.isEmpty, !owners.contains(where: { domainTable[$0]?.kind.hasTables == true }) else {
            throw Refusal(.EEXIST, .cacheTagCollision, requester: device.requester)
        }
        // Untagged requests that pass unchanged stand under the tag of the one entry too.
        for owner in owners { domainTable[owner]!.cacheTags.removeAll { $0.unit == device.unit && $0.cacheTag == tag } }
        unitTable[device.unit]!.tagOwners[tag] = nil
        unitTable[device.unit]!.deviceTags[device.requester] = tag
    }

    /// Notes a tag of a domain taken over. AMD's guest tables are cached under the tags of their devices instead.
    mutating func ownTakenOver(_ tag: Domain.CacheTag, by domain: DomainID) {
        let isDevices = domainTable[domain]!.isGuestTables && machine.unit(tag.unit)?.kind == .amdVi
        if !isDevices { own(tag, by: domain) }
    }

    /// The books of one attachment that is taken over; `session`: of a former kernel's, that it came in.
    mutating func recordTakenOver(
        _ key: AttachmentKey, domain: DomainID, entry: PhysicalAddress, space: CacheSpace, state: LifecycleState,
        session: SessionID?
    ) {
        var attachment: Attachment
        if let known = attachmentTable[key] {
            attachment = known
            domainTable[existing: known.domain].users.remove(key)
        } else {
            attachment = Attachment(key: key, domain: domain, state: .live)
            notePASID(of: key)
        }
        attachment.domain = domain
        attachment.entryAddress = entry
        attachment.space = space
        attachment.state = state
        attachment.session = session
        attachmentTable[key] = attachment
        domainTable[existing: domain].users.insert(key)
    }

    /// Clears every lookup entry that no attachment stands behind, and all that leads to no table in memory; sets up the
    /// units whose structures could not be taken over; gives the other devices their default domain.
    /// `listings`: what stood there at the take-over.
    mutating func settleLeftovers(_ listings: [UnitID: LookupListing]) throws(Errno) {
        for unit in machine.units {
            guard unitTable[unit.id] != nil else {
                try setUp(unit)
                continue
            }
            let tables = unit.lookupTables(memory: machine.memory.view)
            for entry in tables.deviceEntries() {
                if let device = machine.device(entry.requester), device.unit == unit.id {
                    if hasEntry(device.requester) { continue }
                    guard isBlockable(device.group) else { continue }
                }
                tables.block(entry)
            }
            for entry in listings[unit.id]?.entries ?? [] where entry.pasid != nil {
                let requester = RequesterID(segment: unit.segment, rid: entry.rid)
                if attachmentTable.contains(AttachmentKey(requester, entry.pasid)) { continue }
                // A guest's PASIDs are the guest's.
                if case .context(let context) = entry.resolution, case .nested = context.path { continue }
                guard let device = machine.device(requester), isBlockable(device.group) else { continue }
                _ = tables.clear(device, entry.pasid, arena: &arena)
            }
            tables.dropLeftovers(arena: &arena)
            unit.invalidateAll()
        }
        let blocked = attachmentTable.values.filter { $0.state == .live && $0.domain == blockedDomain }.map(\.key)
        for key in blocked.sorted() { try attachDefault(key.requester) }
    }

    /// The books know where the entry of one of the device's attachments stands.
    private func hasEntry(_ requester: RequesterID) -> Bool {
        attachmentTable[AttachmentKey(requester)]?.entryAddress != nil
            || attachmentKeys(of: requester).contains { attachmentTable[$0]!.entryAddress != nil }
    }

    /// Remembers which requests have an entry in memory that the books do not explain.
    mutating func noteStrays() {
        for unit in machine.units {
            for entry in unit.hardware.listing(memory: machine.memory.view).entries {
                let key = AttachmentKey(RequesterID(segment: unit.segment, rid: entry.rid), entry.pasid)
                if attachmentTable[key]?.space == nil { strayEntries.insert(key) }
            }
        }
    }
}

extension TranslationStage {
    /// Both begin at one root and have as many levels. Widths and rights may differ with the requests.
    func isSameTree(_ other: TranslationStage) -> Bool {
        root == other.root && configuration.format == other.configuration.format
            && configuration.topLevel == other.configuration.topLevel
    }
}

/// What a unit breaks that cannot be taken over.
extension UnitHardware {
    /// It does not translate by tables.
    var modeRule: RuleID {
        switch kind {
        case .amdVi: .amdDeviceTable
        case .armSMMUv3: .smmuStreamTable
        case .intelVTd, .riscv: .vtdTranslationMode
        }
    }

    /// Its root structure is not in memory.
    var rootRule: RuleID {
        switch kind {
        case .amdVi: .amdDeviceTable
        case .armSMMUv3: .smmuStreamTable
        case .intelVTd, .riscv: .vtdRootTableAddress
        }
    }

    /// It has no tables of that width.
    var widthRule: RuleID {
        switch kind {
        case .amdVi: .amdDTEMode
        case .armSMMUv3: .smmuSTEStage2
        case .intelVTd, .riscv: .vtdContextAddressWidth
        }
    }
}
