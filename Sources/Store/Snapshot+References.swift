import IOMMUModel
import Snapshot

extension Snapshot {
    /// True when every foreign key of the rows that this normalised snapshot was read from resolves: what SQLite's own check
    /// says of them, in a fraction of its time. `registerRows`: how many registers there were, those of no unit included;
    /// `areaOwners`: the address spaces that have areas.
    ///
    /// O(records log records), where they do not come in the order of what they refer to.
    func referencesResolve(registerRows: UInt64, areaOwners: [IOASID]) -> Bool {
        func number(_ requester: RequesterID) -> UInt64 { UInt64(requester.segment) << 16 | UInt64(requester.rid) }
        var units = AscendingKeys(units) { UInt64($0.id.rawValue) }
        var groups = AscendingKeys(groups) { UInt64($0.id.rawValue) }
        var domains = AscendingKeys(domains) { UInt64($0.id.rawValue) }
        var spaces = AscendingKeys(ioases) { UInt64($0.id.rawValue) }
        var devices = AscendingKeys(devices) { number($0.requester) }
        func has(_ id: UnitID) -> Bool { units.contains(UInt64(id.rawValue)) }
        func has(_ id: GroupID) -> Bool { groups.contains(UInt64(id.rawValue)) }
        func has(_ id: DomainID) -> Bool { domains.contains(UInt64(id.rawValue)) }
        func has(_ id: IOASID) -> Bool { spaces.contains(UInt64(id.rawValue)) }
        return self.units.reduce(0) { $0 + $1.registers.count } == Int(clamping: registerRows)
            && self.devices.allSatisfy { has($0.unit) && has($0.group) }
            && reservedRegions.allSatisfy { has($0.group) }
            && self.domains.allSatisfy { $0.parent.map(has) ?? true }
            && domainUnits.allSatisfy { has($0.domain) && has($0.unit) }
            && hwpts.allSatisfy { has($0.ioas) && has($0.domain) }
            && attachments.allSatisfy { has($0.domain) && devices.contains(number($0.requester)) }
            && lookupPages.allSatisfy { has($0.unit) } && tablePages.allSatisfy { has($0.domain) }
            && areaOwners.allSatisfy(has)
    }
}
