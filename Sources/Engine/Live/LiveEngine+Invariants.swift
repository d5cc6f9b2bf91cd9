import Hardware
import IOMMUModel
import PageTables

extension LiveEngine {
    /// Everything that must hold between any two operations, checked the slow way; one line per violation, never
    /// stopping at the first. For tests and simulations: O(table slots).
    public func checkInvariants() -> [String] {
        attachmentViolations() + objectViolations() + frameViolations() + mappingViolations()
            + machine.findStaleEntries().map(\.description)
    }

    /// Every device has a domain, the books agree with each other and with the lookup entries in memory, both ways.
    private func attachmentViolations() -> [String] {
        var result: [String] = []
        var agreeing: Set<AttachmentKey> = []
        var listed: Set<AttachmentKey> = []
        for unit in machine.units {
            for entry in unit.hardware.listing(memory: machine.memory.view).entries {
                let key = AttachmentKey(RequesterID(segment: unit.segment, rid: entry.rid), entry.pasid)
                listed.insert(key)
                if let attachment = attachmentTable[key] {
                    if agrees(entry, attachment) { agreeing.insert(key) }
                } else if !strayEntries.contains(key) {
                    // A guest's PASIDs are the guest's.
                    if case .context(let context) = entry.resolution, case .nested = context.path { continue }
                    result.append("\(key) has an entry in memory and no attachment")
                }
            }
        }
        for device in machine.devices where attachmentTable[AttachmentKey(device.requester)] == nil {
            result.append("\(device.requester) has no domain")
        }
        for attachment in attachments {
            guard let domain = domainTable[attachment.domain] else {
                result.append("\(attachment.key) is attached to domain \(attachment.domain), which does not exist")
                continue
            }
            if !domain.users.contains(attachment.key) {
                result.append("domain \(domain.id) does not know its user \(attachment.key)")
            }
            if strayEntries.contains(attachment.key) { continue }
            let isAsListed =
                listed.contains(attachment.key) ? agreeing.contains(attachment.key) : agrees(nil, attachment)
            if !isAsListed {
                result.append("\(attachment.key): the entry in memory is not domain \(domain.id)'s")
            }
        }
        return result.sorted()
    }

    private func agrees(_ entry: LookupListing.Entry?, _ attachment: Attachment) -> Bool {
        guard let domain = domainTable[attachment.domain] else { return false }
        guard let entry, case .context(let context) = entry.resolution else {
            return domain.kind == .blocked && attachment.space == nil
        }
        guard context.cacheSpace == attachment.space,
            context.entryAddress == attachment.entryAddress, let wanted = try? path(of: domain.id)
        else { return false }
        switch (context.path, wanted) {
        case (.passThrough, .passThrough): return true
        case (.single(let found), .single(let stage)): return found.isSameTree(stage)
        case (.nested(let first, let second), .nested(let guest, let host)):
            return first.isSameTree(guest) && second.isSameTree(host)
        default: return false
        }
    }

    /// Tags, owners and links between objects.
    private func objectViolations() -> [String] {
        var result: [String] = []
        var owners: [Domain.CacheTag: DomainID] = [:]
        for domain in domains {
            for tag in domain.cacheTags {
                if let other = owners.updateValue(domain.id, forKey: tag), domain.table?.configuration.format != .x86_64
                {
                    result.append(
                        "tag \(tag.cacheTag) of unit \(tag.unit) belongs to domains \(other) and \(domain.id)")
                }
                if unitTable[tag.unit]?.tags.isInUse(tag.cacheTag) != true {
                    result.append("tag \(tag.cacheTag) of domain \(domain.id) is free on unit \(tag.unit)")
                }
            }
            for key in domain.users
            where attachmentTable[key]?.domain != domain.id && attachmentTable[key]?.heldDomain != domain.id {
                result.append("domain \(domain.id) counts \(key.requester), which left it")
            }
            if let hwpt = domain.hwpt, hwptTable[hwpt]?.domain != domain.id {
                result.append("domain \(domain.id) and HWPT \(hwpt) disagree")
            }
        }
        for group in groups {
            guard let hwpt = group.hwpt else { continue }
            if group.owner != .vfio { result.append("group \(group.id) is attached without an owner") }
            for member in group.members
            where attachmentTable[AttachmentKey(member)]?.domain != hwptTable[hwpt]?.domain
                && attachmentTable[AttachmentKey(member)]?.state != .quarantined
            {
                result.append("\(member) does not follow its group \(group.id)")
            }
        }
        var preservedCounts: [IOASID: Int] = [:]
        for attachment in attachmentTable.values where attachment.state == .preserved {
            if let ioas = domainTable[attachment.domain]?.hwpt.flatMap({ hostIOAS(of: $0) }) {
                preservedCounts[ioas, default: 0] += 1
            }
        }
        for ioas in ioases {
            let preserved = preservedCounts[ioas.id, default: 0]
            if preserved != ioas.preservedCount {
                result.append("IOAS \(ioas.id) counts \(ioas.preservedCount) preserved devices, there are \(preserved)")
            }
        }
        return result
    }

    /// No table frame has two owners; every frame of the arena is free or owned.
    private func frameViolations() -> [String] {
        var result: [String] = []
        var owners: [PhysicalAddress: String] = [:]
        func own(_ page: PhysicalAddress, _ owner: String) {
            if let other = owners.updateValue(owner, forKey: page), other != owner {
                result.append("frame \(page) belongs to \(other) and \(owner)")
            }
        }
        for unit in machine.units { for page in lookupPages(of: unit.id) { own(page.address, "unit \(unit.id)") } }
        for domain in domains where !domain.isDistrusted {
            for page in tablePages(of: domain.id) { own(page.address, "domain \(domain.id)") }
        }
        let allocated = Set(arena.allocatedFrames)
        for page in owners.keys where !allocated.contains(page) {
            result.append("frame \(page) of \(owners[page]!) can be allocated again")
        }
        for page in allocated where owners[page] == nil {
            if heldFrames.contains(where: { $0.contains(page) }) { continue }
            result.append("frame \(page) is allocated, but nobody's")
        }
        return result
    }

    /// Areas are sorted, apart and outside what is reserved, and the tables of every HWPT say exactly what they say.
    private func mappingViolations() -> [String] {
        var result: [String] = []
        for ioas in ioases {
            for (index, area) in ioas.areas.enumerated() where index > 0 {
                if ioas.areas[index - 1].range.last >= area.range.first {
                    result.append("areas of IOAS \(ioas.id) overlap at \(area.range.first)")
                }
            }
            if ioas.areaOrigin == .declared {
                for area in ioas.areas where !ioas.permits(area.range) {
                    result.append("area \(area.range) of IOAS \(ioas.id) is not permitted")
                }
            }
            for hwpt in ioas.hwpts {
                guard let table = hwptTable[hwpt].flatMap({ domainTable[$0.domain]?.table }) else {
                    result.append("HWPT \(hwpt) of IOAS \(ioas.id) has no tables")
                    continue
                }
                for area in ioas.areas { check(area, in: table, &result) }
                var bytes: UInt64 = 0
                scan(table).forEachRun { run in
                    bytes += run.range.lastOffset + 1
                    return true
                }
                let wanted = ioas.areas.reduce(0) { $0 + $1.range.lastOffset + 1 }
                if bytes != wanted {
                    result.append("HWPT \(hwpt) translates \(bytes) bytes, the areas of IOAS \(ioas.id) are \(wanted)")
                }
            }
        }
        return result
    }

    /// One walk per table slot of the area; an area that differs is told once, at its first difference.
    private func check(_ area: IOPTArea, in table: PageTable, _ result: inout [String]) {
        guard let base = physicalAddress(of: area) else {
            return result.append("area \(area.range) has no memory")
        }
        var configuration = table.configuration
        configuration.accessedDirty = false
        let view = machine.memory.view
        let protection = configuration.format.granted(area.protection)
        let access: Access = protection.contains(.read) ? .read : .write
        var iova = area.range.first
        while true {
            let wanted = base.rawValue + iova.distance(from: area.range.first)
            guard
                case .translated(let translation) = Walker.translate(
                    configuration, root: table.root, memory: view, iova: iova, access: access),
                translation.pa.rawValue == wanted, translation.protection == protection
            else { return result.append("area \(area.range): the tables differ at \(iova)") }
            // AMD: a leaf of several slots says the same in each of them.
            let slotLog2 = UInt64(min(translation.pageSizeLog2, 12 + 9 * translation.level))
            let slotEnd = IOVA(iova.rawValue | (1 << slotLog2 - 1))
            guard slotEnd < area.range.last, let next = slotEnd.offset(by: 1) else { return }
            iova = next
        }
    }

    func scan(_ table: PageTable) -> TableTree {
        Walker.scan(table.configuration, root: table.root, memory: machine.memory.view)
    }
}
