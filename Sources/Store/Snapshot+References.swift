import IOMMUModel
import Snapshot

/// A foreign key that names no row.
struct UnresolvedReference: Equatable {
    /// Of the record that refers to one.
    var table: RecordTable
    /// Of that record: columns and values, as in ``StoreDefect``.
    var key: String
    /// The table that it refers to, and the key that is not there.
    var missing: String
}

extension Snapshot {
    /// The first foreign key that does not resolve of the rows that this normalised snapshot stands for; `nil` when all do.
    /// (Registers are in the record of their unit.) What SQLite's own check says of them, in a fraction of its time.
    /// `areaOwners`: the address spaces that have areas.
    ///
    /// O(records log records), where they do not come in the order of what they refer to.
    func unresolvedReference(areaOwners: [IOASID]) -> UnresolvedReference? {
        func number(_ requester: RequesterID) -> UInt64 { UInt64(requester.segment) << 16 | UInt64(requester.rid) }
        var units = AscendingKeys(units) { UInt64($0.id.rawValue) }
        var groups = AscendingKeys(groups) { UInt64($0.id.rawValue) }
        var domains = AscendingKeys(domains) { UInt64($0.id.rawValue) }
        var spaces = AscendingKeys(ioases) { UInt64($0.id.rawValue) }
        var devices = AscendingKeys(devices) { number($0.requester) }
        // Each answers what is missing.
        func unit(_ id: UnitID) -> String? { units.contains(UInt64(id.rawValue)) ? nil : "unit \(id)" }
        func group(_ id: GroupID) -> String? { groups.contains(UInt64(id.rawValue)) ? nil : "iommu_group \(id)" }
        func domain(_ id: DomainID) -> String? { domains.contains(UInt64(id.rawValue)) ? nil : "domain \(id)" }
        func space(_ id: IOASID) -> String? { spaces.contains(UInt64(id.rawValue)) ? nil : "ioas \(id)" }
        func device(_ id: RequesterID) -> String? { devices.contains(number(id)) ? nil : "device \(id)" }
        func first<R>(
            _ records: [R], _ table: RecordTable, _ key: (R) -> String, missing: (R) -> String?
        ) -> UnresolvedReference? {
            for record in records {
                if let missing = missing(record) { return .init(table: table, key: key(record), missing: missing) }
            }
            return nil
        }
        func row(_ id: RequesterID) -> String { "segment=\(id.segment) rid=\(id.rid)" }
        return first(self.devices, .device, { row($0.requester) }) { unit($0.unit) ?? group($0.group) }
            ?? first(
                reservedRegions, .reservedRegion,
                { "iommu_group=\($0.group) range=\($0.range) kind=\($0.kind.rawValue)" }
            ) {
                group($0.group)
            }
            ?? first(self.domains, .domain, { "id=\($0.id)" }) { $0.parent.flatMap(domain) }
            ?? first(domainUnits, .domainUnit, { "domain=\($0.domain) unit=\($0.unit)" }) {
                domain($0.domain) ?? unit($0.unit)
            }
            ?? first(hwpts, .hwpt, { "id=\($0.id)" }) { space($0.ioas) ?? domain($0.domain) }
            ?? first(
                attachments, .attachment,
                { "\(row($0.requester)) tagged=\($0.pasid == nil ? 0 : 1) pasid=\($0.pasid?.rawValue ?? 0)" }
            ) { device($0.requester) ?? domain($0.domain) }
            ?? first(lookupPages, .lookupChunk, { "unit=\($0.unit)" }) { unit($0.unit) }
            ?? first(tablePages, .tableChunk, { "domain=\($0.domain)" }) { domain($0.domain) }
            ?? first(areaOwners, .areaChunk, { "ioas=\($0)" }, missing: space)
    }
}
