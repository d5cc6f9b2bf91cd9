import IOMMUModel
import Snapshot

/// Rules that need the records only: references and fields.
enum RecordRules {
    static func check(_ index: SnapshotIndex, into log: inout FindingLog) {
        references(index, &log)
        fields(index, &log)
    }

    private static func references(_ index: SnapshotIndex, _ log: inout FindingLog) {
        let snapshot = index.snapshot
        func missing(
            _ table: String, _ key: String, _ target: String, device: RequesterID? = nil, pasid: PASID? = nil
        ) -> Finding {
            Finding(
                .referenceUnresolved, device: device, pasid: pasid, record: .init(table: table, key: key),
                "names \(target), which is not recorded")
        }
        for device in snapshot.devices {
            let key = "device=\(device.requester)"
            if index.units[device.unit] == nil {
                log.add(missing("device", key, "unit \(device.unit)", device: device.requester))
            }
            if !index.groups.contains(device.group) {
                log.add(missing("device", key, "group \(device.group)", device: device.requester))
            }
        }
        for region in snapshot.reservedRegions where !index.groups.contains(region.group) {
            log.add(
                missing("reserved_region", "group=\(region.group) first=\(region.range.first)", "group \(region.group)")
            )
        }
        for area in snapshot.areas {
            if index.ioases[area.ioas] == nil {
                log.add(missing("area", "ioas=\(area.ioas) iova=\(area.range.first)", "IOAS \(area.ioas)"))
            }
            if index.backings[area.backing] == nil {
                log.add(missing("area", "ioas=\(area.ioas) iova=\(area.range.first)", "backing \(area.backing)"))
            }
        }
        for domain in snapshot.domains {
            guard let parent = domain.parent, index.domains[parent] == nil else { continue }
            log.add(
                missing("domain", "id=\(domain.id)", "domain \(parent)", device: index.user(of: domain.id)?.requester))
        }
        for record in snapshot.domainUnits {
            let key = "domain=\(record.domain) unit=\(record.unit)"
            if index.domains[record.domain] == nil { log.add(missing("domain_unit", key, "domain \(record.domain)")) }
            if index.units[record.unit] == nil { log.add(missing("domain_unit", key, "unit \(record.unit)")) }
        }
        for hwpt in snapshot.hwpts {
            if index.ioases[hwpt.ioas] == nil { log.add(missing("hwpt", "id=\(hwpt.id)", "IOAS \(hwpt.ioas)")) }
            if index.domains[hwpt.domain] == nil { log.add(missing("hwpt", "id=\(hwpt.id)", "domain \(hwpt.domain)")) }
        }
        for attachment in snapshot.attachments {
            let key = "device=\(attachment.requester) pasid=\(attachment.pasid.label)"
            func report(_ target: String) {
                log.add(missing("attachment", key, target, device: attachment.requester, pasid: attachment.pasid))
            }
            if index.domains[attachment.domain] == nil { report("domain \(attachment.domain)") }
            guard let device = index.devices[attachment.requester] else {
                report("device \(attachment.requester)")
                continue
            }
            if index.domains[attachment.domain].map({ $0.kind != .blocked }) ?? false, index.units[device.unit] != nil,
                index.geometry(of: attachment.domain, on: device.unit) == nil
            {
                report("domain \(attachment.domain) on unit \(device.unit)")
            }
        }
        for pages in snapshot.lookupPages where index.units[pages.unit] == nil {
            log.add(missing("lookup_chunk", "unit=\(pages.unit)", "unit \(pages.unit)"))
        }
        for pages in snapshot.tablePages where index.domains[pages.domain] == nil {
            log.add(missing("table_chunk", "domain=\(pages.domain)", "domain \(pages.domain)"))
        }
    }

    private static func fields(_ index: SnapshotIndex, _ log: inout FindingLog) {
        for unit in index.snapshot.units {
            if !(12...52).contains(unit.hostAddressWidth) {
                log.add(
                    malformed("unit", "id=\(unit.id)", "host address width \(unit.hostAddressWidth) is not 12 to 52"))
            }
            if let bit = unit.encryptionBit, !(12...51).contains(bit) {
                log.add(malformed("unit", "id=\(unit.id)", "encryption bit \(bit) is not 12 to 51"))
            }
            if !unit.registerBase.isAligned(toLog2: 12) {
                log.add(malformed("unit", "id=\(unit.id)", "register base \(unit.registerBase) is not 4 KiB aligned"))
            }
        }
        domains(index, &log)
        attachments(index, &log)
        var tokens: [UInt64: HWPTID] = [:]
        for hwpt in index.snapshot.hwpts {
            guard let token = hwpt.token else { continue }
            if let other = tokens.updateValue(hwpt.id, forKey: token) {
                log.add(malformed("hwpt", "id=\(hwpt.id)", "token \(token) is already the one of HWPT \(other)"))
            }
        }
        for session in index.snapshot.sessions where !(1...63).contains(session.name.utf8.count) {
            log.add(malformed("session", "id=\(session.id)", "name has \(session.name.utf8.count) bytes, not 1 to 63"))
        }
        for device in index.snapshot.devices where !device.hasFunction {
            log.add(
                Finding(
                    .requesterWithoutFunction, device: device.requester,
                    "no PCI function has this requester id: an alias of a bridge, or a function that is gone"))
        }
    }

    private static func malformed(
        _ table: String, _ key: String, device: RequesterID? = nil, pasid: PASID? = nil, _ message: String
    ) -> Finding {
        Finding(.recordMalformed, device: device, pasid: pasid, record: .init(table: table, key: key), message)
    }

    /// Kinds, parents and geometries.
    private static func domains(_ index: SnapshotIndex, _ log: inout FindingLog) {
        for domain in index.snapshot.domains {
            let key = "id=\(domain.id)"
            if (domain.parent != nil) != (domain.kind == .nested) {
                let what = domain.parent.map { "parent \($0)" } ?? "no parent"
                log.add(malformed("domain", key, "a domain of kind \(domain.kind.rawValue) has \(what)"))
            } else if let parent = domain.parent.flatMap({ index.domains[$0] }), parent.kind != .paging {
                log.add(
                    malformed("domain", key, "its parent \(parent.id) is of kind \(parent.kind.rawValue), not paging"))
            }
        }
        for record in index.snapshot.domainUnits {
            let key = "domain=\(record.domain) unit=\(record.unit)"
            if let tables = record.tables, !tables.root.isAligned(toLog2: 12) {
                log.add(malformed("domain_unit", key, "root \(tables.root) is not 4 KiB aligned"))
            }
            guard let kind = index.domains[record.domain]?.kind else { continue }
            // A lookup entry that the hardware refuses is imported as a paging domain without tables.
            let mayLackTables = index.snapshot.origin == .imported
            let hasTables = kind == .paging || kind == .nested
            if hasTables != (record.tables != nil), !(mayLackTables && record.tables == nil) {
                let what = record.tables == nil ? "no page tables" : "page tables"
                log.add(malformed("domain_unit", key, "a domain of kind \(kind.rawValue) has \(what)"))
            }
            if kind == .nested, let format = record.tables?.format, format != .x86_64 {
                log.add(malformed("domain_unit", key, "a nested domain has tables of format \(format.rawValue)"))
            }
        }
    }

    /// A cache tag stands exactly where something is cached.
    private static func attachments(_ index: SnapshotIndex, _ log: inout FindingLog) {
        for attachment in index.snapshot.attachments {
            guard let kind = index.domains[attachment.domain]?.kind else { continue }
            let what: String
            switch (kind, attachment.cacheTag) {
            case (.blocked, let tag?): what = "cache tag \(tag) of a blocked attachment, expected none"
            // A lookup entry that the hardware refuses is imported without what it might have meant.
            case (.paging, nil) where index.snapshot.origin == .imported && index.hasNoTables(attachment.domain):
                continue
            case (.paging, nil), (.identity, nil), (.nested, nil): what = "no cache tag of domain \(attachment.domain)"
            default: continue
            }
            log.add(
                malformed(
                    "attachment", "device=\(attachment.requester) pasid=\(attachment.pasid.label)",
                    device: attachment.requester, pasid: attachment.pasid, what))
        }
    }
}
