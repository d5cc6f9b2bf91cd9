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
        func malformed(_ table: String, _ key: String, _ message: String) -> Finding {
            Finding(.recordMalformed, record: .init(table: table, key: key), message)
        }
        for unit in index.snapshot.units {
            if !(12...52).contains(unit.hostAddressWidth) {
                log.add(
                    malformed("unit", "id=\(unit.id)", "host address width \(unit.hostAddressWidth) is not 12 to 52"))
            }
            if !unit.registerBase.isAligned(toLog2: 12) {
                log.add(malformed("unit", "id=\(unit.id)", "register base \(unit.registerBase) is not 4 KiB aligned"))
            }
        }
        for record in index.snapshot.domainUnits {
            let key = "domain=\(record.domain) unit=\(record.unit)"
            if let tables = record.tables, !tables.root.isAligned(toLog2: 12) {
                log.add(malformed("domain_unit", key, "root \(tables.root) is not 4 KiB aligned"))
            }
            // A context entry that the hardware refuses is imported as a paging domain without tables.
            let mayLackTables = index.snapshot.origin == .imported
            if let kind = index.domains[record.domain]?.kind, (kind == .paging) != (record.tables != nil),
                !(mayLackTables && record.tables == nil)
            {
                let what = record.tables == nil ? "no page tables" : "page tables"
                log.add(malformed("domain_unit", key, "a domain of kind \(kind.rawValue) has \(what)"))
            }
        }
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
}
