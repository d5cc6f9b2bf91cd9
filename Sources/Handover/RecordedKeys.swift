import Engine
import IOMMUModel
import Snapshot

/// What a recorder has told so far, areas and pages aside, with what a change of one record means for others.
struct RecordedKeys {
    /// Before the first pass there is nothing to compare with.
    var isEmpty = true
    var units: [UnitID: UnitRecord] = [:]
    /// ``Engine/UnitHardware/lookupWrites`` when the lookup pages were told.
    var lookupWrites: [UnitID: UInt64] = [:]
    /// ``Engine/Machine/deviceChanges`` when the devices' traits were told.
    var deviceChanges: UInt64?
    var groups: [GroupID: GroupRecord] = [:]
    var devices: [RequesterID: DeviceRecord] = [:]
    var sessions: [SessionID: SessionRecord] = [:]
    var backings: [BackingID: BackingRecord] = [:]
    var ioases: [IOASID: IOASRecord] = [:]
    var domains: [DomainID: DomainRecord] = [:]
    var domainUnits: [DomainID: [UnitID: DomainUnitRecord]] = [:]
    var hwpts: [HWPTID: HWPTRecord] = [:]
    var attachments: [AttachmentKey: AttachmentRecord] = [:]
    /// Bytes by name.
    var engineState: [String: [UInt8]] = [:]
    /// How many areas and table pages were told.
    var areaCounts: [IOASID: Int] = [:]
    var pageCounts: [DomainID: Int] = [:]

    /// Devices whose attachments were told as blocked whatever the books say.
    var blocked: Set<RequesterID> = []
    /// Whether anything was preserved.
    var isCarrying = false

    /// The attachments that go through a domain.
    var users: [DomainID: Set<AttachmentKey>] = [:]
    /// The nested domains with attachments, by parent.
    var children: [DomainID: Set<DomainID>] = [:]
    var hwptOfDomain: [DomainID: HWPTID] = [:]
    var hwptsOfSpace: [IOASID: Set<HWPTID>] = [:]
    /// The backings of an address space's areas, and the reverse.
    var filesOfSpace: [IOASID: Set<BackingID>] = [:]
    var spacesOfFile: [BackingID: Set<IOASID>] = [:]

    /// True when attachments go through `domain`, themselves or by a domain nested in it.
    func isUsed(_ domain: DomainID) -> Bool { users[domain] != nil || children[domain] != nil }

    /// Everything that was told, as if it had changed.
    var everything: EngineChanges {
        var all = EngineChanges()
        all.groups = Set(groups.keys)
        all.backings = Set(backings.keys)
        all.ioases = Set(ioases.keys)
        all.hwpts = Set(hwpts.keys)
        all.domains = Set(domains.keys)
        all.sessions = Set(sessions.keys)
        all.attachments = Set(attachments.keys)
        return all
    }
}

extension Dictionary {
    /// Adds `member` to, or takes it out of, the set of `key`; an empty set is not kept.
    mutating func set<Member>(_ member: Member, of key: Key, to isMember: Bool) where Value == Set<Member> {
        if isMember {
            self[key, default: []].insert(member)
        } else {
            self[key]?.remove(member)
            if self[key]?.isEmpty == true { self[key] = nil }
        }
    }
}
