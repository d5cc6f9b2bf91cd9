import IOMMUModel
import Snapshot

/// What a restore looks up in a record, by key: it asks for every device and PASID, and must not search. (The index that
/// rules and audits use goes through all areas, which a restore does not.)
struct RecordIndex {
    private(set) var devices: [RequesterID: DeviceRecord] = [:]
    private(set) var domains: [DomainID: DomainRecord] = [:]
    /// The token of each domain's HWPT.
    private(set) var tokens: [DomainID: UInt64] = [:]
    private(set) var owners: [GroupID: UInt64] = [:]
    /// The attachments of each device, untagged first, then by PASID; devices ascending.
    private(set) var attachments: [ArraySlice<AttachmentRecord>] = []
    /// By unit.
    private(set) var places: [DomainID: [DomainUnitRecord]] = [:]

    /// Of equal keys the first. O(records), tables and areas not touched.
    init(_ recorded: Snapshot) {
        for device in recorded.devices where devices[device.requester] == nil { devices[device.requester] = device }
        for domain in recorded.domains where domains[domain.id] == nil { domains[domain.id] = domain }
        for hwpt in recorded.hwpts {
            if let token = hwpt.token, tokens[hwpt.domain] == nil { tokens[hwpt.domain] = token }
        }
        for group in recorded.groups where owners[group.id] == nil { owners[group.id] = group.ownerToken }
        // They are in this order in the record.
        var rest = recorded.attachments[...]
        while let requester = rest.first?.requester {
            let own = rest.prefix { $0.requester == requester }
            attachments.append(own)
            rest = rest[own.endIndex...]
        }
        places = Dictionary(grouping: recorded.domainUnits, by: \.domain)
    }
}
