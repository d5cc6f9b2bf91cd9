import IOMMUModel
import Snapshot

extension Snapshot {
    /// True when every foreign key of the rows that this normalised snapshot was read from resolves: what SQLite's own check
    /// says of them, in a fraction of its time. `registerRows`: how many registers there were, those of no unit included.
    ///
    /// O(records), O(log areas) for each address space.
    func referencesResolve(registerRows: UInt64) -> Bool {
        let units = Set(units.map(\.id))
        let groups = Set(groups.map(\.id))
        let domains = Set(domains.map(\.id))
        let spaces = Set(ioases.map(\.id))
        let devices = Set(devices.map(\.requester))
        return self.units.reduce(0) { $0 + $1.registers.count } == Int(clamping: registerRows)
            && self.devices.allSatisfy { units.contains($0.unit) && groups.contains($0.group) }
            && reservedRegions.allSatisfy { groups.contains($0.group) }
            && self.domains.allSatisfy { $0.parent.map(domains.contains) ?? true }
            && domainUnits.allSatisfy { domains.contains($0.domain) && units.contains($0.unit) }
            && hwpts.allSatisfy { spaces.contains($0.ioas) && domains.contains($0.domain) }
            && attachments.allSatisfy { domains.contains($0.domain) && devices.contains($0.requester) }
            && lookupPages.allSatisfy { units.contains($0.unit) }
            && tablePages.allSatisfy { domains.contains($0.domain) } && areaOwners.allSatisfy(spaces.contains)
    }

    /// The address spaces that have areas.
    private var areaOwners: [IOASID] {
        var owners: [IOASID] = []
        var index = 0
        while index < areas.count {
            let owner = areas[index].ioas
            owners.append(owner)
            var (low, high) = (index, areas.count)
            while high - low > 1 {
                let middle = (low + high) / 2
                if areas[middle].ioas == owner { low = middle } else { high = middle }
            }
            index = high
        }
        return owners
    }
}
