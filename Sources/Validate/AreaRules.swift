import Hardware
import IOMMUModel
import Snapshot

/// Rules about areas by themselves: whole pages, no overlap, nothing reserved, inside their backing.
enum AreaRules {
    static func check(_ index: SnapshotIndex, into log: inout FindingLog) {
        for ioas in index.snapshot.ioases {
            let hwpts = index.hwpts[ioas.id] ?? []
            let user = hwpts.compactMap { index.user(of: $0.domain) }.min { $0.requester < $1.requester }
            var last: IOVA?
            var assumed: Set<BackingID> = []
            for area in index.areas(of: ioas.id) {
                func report(_ rule: RuleID, severity: Severity? = nil, iova: IOVA? = nil, _ message: String) {
                    log.add(
                        Finding(
                            rule, severity: severity, device: user?.requester, pasid: user?.pasid,
                            iova: iova ?? area.range.first,
                            record: .init(table: "area", key: "ioas=\(area.ioas) iova=\(area.range.first)"), message))
                }
                if let problem = malformed(area) { report(.areaMalformed, problem) }
                if let backing = index.backings[area.backing] {
                    if let problem = outside(area, backing) { report(.areaMalformed, problem) }
                    if backing.isAssumed { assumed.insert(backing.id) }
                }
                if let last, area.range.first <= last {
                    report(.areaOverlap, "\(area.range) overlaps the area before it, which ends at \(last)")
                }
                last = max(last ?? area.range.last, area.range.last)
            }
            for hwpt in hwpts { reserved(ioas, hwpt.domain, index, &log) }
            for backing in assumed.sorted() {
                log.add(
                    Finding(
                        .backingAssumed, device: user?.requester, pasid: user?.pasid,
                        record: .init(table: "backing", key: "id=\(backing)"),
                        "size and seals of backing \(backing) of IOAS \(ioas.id) are assumed"))
            }
        }
    }

    private static func malformed(_ area: AreaRecord) -> String? {
        if !area.range.isAligned(toLog2: 12) { return "\(area.range) is not whole 4 KiB pages" }
        if area.offset & 0xfff != 0 { return "offset \(hex(area.offset)) is not a multiple of 4 KiB" }
        if area.protection.isEmpty || area.protection.rawValue > 3 { return "no valid protection" }
        if area.flags != 0 { return "flags \(hex(UInt64(area.flags), digits: 4)) are not defined" }
        return nil
    }

    private static func outside(_ area: AreaRecord, _ backing: BackingRecord) -> String? {
        let (end, overflow) = area.offset.addingReportingOverflow(area.range.lastOffset)
        switch backing.kind {
        case .physical:
            return overflow ? "its physical range passes the end of the address space" : nil
        case .memfd:
            guard overflow || end >= backing.byteCount else { return nil }
            let reach = overflow ? "past 64 bits" : "to offset \(hex(end))"
            return "reaches \(reach), backing \(backing.id) has \(hex(backing.byteCount)) bytes"
        }
    }

    /// One merge of the IOAS's areas with each reserved region of the groups that use `domain`.
    private static func reserved(
        _ ioas: IOASRecord, _ domain: DomainID, _ index: SnapshotIndex, _ log: inout FindingLog
    ) {
        let areas = index.areas(of: ioas.id)
        guard let user = index.user(of: domain), !areas.isEmpty else { return }
        var regions = index.reservedRegions(of: domain).map { ($0.range, $0.kind) }
        let window = IOMMUHardware.interruptWindow
        if index.usesInterruptWindow(domain), !regions.contains(where: { $0.0.contains(window) }) {
            regions.append((window, .msi))
        }
        for (region, kind) in regions where kind != .directRelaxable {
            // The first area that ends at or after the region's start, by binary search: areas rarely meet a region.
            var low = areas.startIndex
            var high = areas.endIndex
            while low < high {
                let middle = low + (high - low) / 2
                if areas[middle].range.last < region.first { low = middle + 1 } else { high = middle }
            }
            while low < areas.endIndex, areas[low].range.first <= region.last {
                let area = areas[low]
                low += 1
                guard let common = area.range.intersection(region) else { continue }
                let start = (index.backings[area.backing]?.base.rawValue ?? 0) &+ area.offset
                // Read off the tables, a 1:1 region is the kernel's own mapping and no user's area.
                if ioas.areaOrigin == .derived, kind == .direct, start == area.range.first.rawValue { continue }
                log.add(
                    Finding(
                        .areaReserved, severity: ioas.areaOrigin == .derived ? .warning : .error,
                        device: user.requester, pasid: user.pasid, iova: common.first,
                        record: .init(table: "area", key: "ioas=\(area.ioas) iova=\(area.range.first)"),
                        "\(common) lies in the reserved region \(region) (\(kind.rawValue))"))
            }
        }
    }
}

extension SnapshotIndex {
    /// Some request that goes through `domain` is an interrupt when its address is in the window: an untagged one on
    /// VT-d, any on AMD.
    fileprivate func usesInterruptWindow(_ domain: DomainID) -> Bool {
        users(of: domain).contains { attachment in
            let kind = devices[attachment.requester].flatMap { units[$0.unit] }?.kind
            return kind?.usesInterruptWindow(isTagged: attachment.pasid != nil) == true
        }
    }
}
