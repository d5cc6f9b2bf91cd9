import Hardware
import IOMMUModel
import PageTables

/// What ``RestoringEngine`` needs of the books.
extension LiveEngine {
    /// - Throws: `EINVAL` a tag was not reserved, `EEXIST` it belongs to another domain.
    func checkReserved(_ tags: [Domain.CacheTag]) throws(Refusal) {
        for tag in tags {
            guard let state = unitTable[tag.unit] else { throw Refusal(.ENODEV, .unitMissing) }
            guard state.tags.isInUse(tag.cacheTag) else { throw Refusal(.EINVAL) }
            guard state.tagOwners[tag.cacheTag] == nil else { throw Refusal(.EEXIST, .cacheTagCollision) }
        }
    }

    /// Tables that are in memory already.
    func existingTable(_ geometry: RestoringEngine.Geometry, on unit: UnitID) throws(Refusal) -> PageTable {
        guard let hardware = machine.unit(unit) else { throw Refusal(.ENODEV, .unitMissing) }
        guard let width = VTDAddressWidth(topLevel: Int(geometry.topLevel)),
            let shape = hardware.hardware.configuration(width: width), shape.addressBits == Int(geometry.addressBits)
        else { throw Refusal(.EINVAL, .vtdContextAddressWidth) }
        guard machine.memory.page(at: geometry.root) != nil else { throw Refusal(.EFAULT, .tablePageUnknown) }
        return PageTable(configuration: shape, root: geometry.root)
    }

    /// `device`'s context entry, when memory resolves it to exactly `domain` under one of its tags.
    func verifiedEntry(of device: MachineDevice, domain: DomainID) throws(Refusal) -> VTDContext {
        let differs = Refusal(.EINVAL, .attachmentEntryDiffers, requester: device.requester)
        guard let unit = machine.unit(device.unit), let record = domainTable[domain],
            case .context(let context) = unit.hardware.resolve(device.requester.rid, memory: machine.memory.view),
            record.hasCacheTag(UInt32(context.domainID), on: device.unit)
        else { throw differs }
        switch (context.translation, record.table) {
        case (.passThrough, nil): break
        case (.tables(let shape, let root), let table?):
            guard root == table.root, shape.topLevel == table.configuration.topLevel else { throw differs }
        default: throw differs
        }
        return context
    }

    mutating func recordTakenOver(_ key: AttachmentKey, domain: DomainID, _ context: VTDContext) {
        domainTable[attachmentTable[key]!.domain]!.users.remove(key)
        attachmentTable[key]!.domain = domain
        attachmentTable[key]!.cacheTag = UInt32(context.domainID)
        attachmentTable[key]!.entryAddress = context.entryAddress
        domainTable[domain]!.users.insert(key)
    }

    /// Clears every context entry that no attachment stands behind, and every root entry that leads to no context table;
    /// sets up the units whose tables could not be taken over; gives the other devices their default domain.
    mutating func settleLeftovers() throws(Errno) {
        for unit in machine.units {
            guard let state = unitTable[unit.id] else {
                try setUp(unit)
                continue
            }
            for bus in 0...UInt8.max where state.contextTables[bus] == nil {
                guard let slot = VTDLookupIndex.rootEntry(UInt16(bus) << 8, in: state.rootTable) else { continue }
                if machine.memory.word(at: slot) != 0 || machine.memory.word(at: slot.advanced(8)) != 0 {
                    withdrawEntry(at: slot)
                }
            }
            for (bus, table) in state.contextTables.sorted(by: { $0.key < $1.key }) {
                guard let words = machine.memory.page(at: table) else { continue }
                for devfn in 0..<256 where words[devfn * 2] | words[devfn * 2 + 1] != 0 {
                    let requester = RequesterID(segment: unit.segment, rid: UInt16(bus) << 8 | UInt16(devfn))
                    if machine.device(requester)?.unit == unit.id,
                        attachmentTable[AttachmentKey(requester)]?.entryAddress != nil
                    {
                        continue
                    }
                    if let group = machine.device(requester)?.group, !isBlockable(group) { continue }
                    withdrawEntry(at: table.advanced(UInt64(devfn) * VTDContextEntry.byteCount))
                }
                _ = dropContextTableIfEmpty(unit: unit.id, bus: bus)
            }
            unit.invalidateAll()
        }
        for attachment in attachments where attachment.state == .live && attachment.domain == blockedDomain {
            try attachDefault(attachment.requester)
        }
    }

    /// Remembers which requesters have an entry in memory that the books do not explain.
    mutating func noteStrays() {
        for unit in machine.units {
            for entry in VTDLegacyLookup(unit.hardware, memory: machine.memory.view).contexts {
                let requester = RequesterID(segment: unit.segment, rid: entry.rid)
                if attachmentTable[AttachmentKey(requester)]?.entryAddress == nil { strayEntries.insert(requester) }
            }
        }
    }
}
