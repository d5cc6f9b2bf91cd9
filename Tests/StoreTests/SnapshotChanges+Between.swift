import IOMMUModel
import Snapshot

extension SnapshotChanges {
    /// What is different between two whole states, found out the slow way.
    init(from old: Snapshot, to new: Snapshot) {
        self.init(origin: new.origin)
        func differ<R: Hashable, Key: Hashable & Comparable>(
            _ old: [R], _ new: [R], _ key: (R) -> Key
        ) -> (new: [R], gone: [Key]) {
            let known = Set(old)
            return (
                new.filter { !known.contains($0) }, Set(old.map(key)).subtracting(new.map(key)).sorted()
            )
        }
        records.units = differ(old.units, new.units, \.id).new
        records.memoryRanges = old.memoryRanges.isEmpty ? new.memoryRanges : []
        records.reservedRegions = old.reservedRegions.isEmpty ? new.reservedRegions : []
        (records.groups, gone.groups) = differ(old.groups, new.groups, \.id)
        (records.devices, gone.devices) = differ(old.devices, new.devices, \.requester)
        (records.sessions, gone.sessions) = differ(old.sessions, new.sessions, \.id)
        (records.backings, gone.backings) = differ(old.backings, new.backings, \.id)
        (records.ioases, gone.ioases) = differ(old.ioases, new.ioases, \.id)
        (records.domains, gone.domains) = differ(old.domains, new.domains, \.id)
        (records.domainUnits, gone.domainUnits) = differ(old.domainUnits, new.domainUnits, \.key)
        (records.hwpts, gone.hwpts) = differ(old.hwpts, new.hwpts, \.id)
        (records.attachments, gone.attachments) = differ(old.attachments, new.attachments, \.key)
        records.lookupPages = differ(old.lookupPages, new.lookupPages, \.unit).new
        (records.tablePages, gone.tablePages) = differ(old.tablePages, new.tablePages, \.domain)
        records.engineState = differ(old.engineState, new.engineState, \.name).new
        areaOwners = new.ioases.map(\.id)
        records.areas = new.areas
    }
}
