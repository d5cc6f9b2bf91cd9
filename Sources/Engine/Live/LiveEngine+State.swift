import IOMMUModel
import PageTables

/// The engine's state as plain values, every array sorted by its key: what is recorded of it.
extension LiveEngine {
    public var units: [UnitDescription] { machine.units.map(\.description) }
    public var devices: [MachineDevice] { machine.devices }
    public var groups: [Group] { groupTable.values.sorted { $0.id < $1.id } }
    public var backings: [Backing] { backingTable.values.sorted { $0.id < $1.id } }
    public var ioases: [IOAS] { ioasTable.values.sorted { $0.id < $1.id } }
    public var hwpts: [HWPT] { hwptTable.values.sorted { $0.id < $1.id } }
    public var domains: [Domain] { domainTable.values.sorted { $0.id < $1.id } }
    public var sessions: [Session] { sessionTable.values.sorted { $0.id < $1.id } }
    public var attachments: [Attachment] { attachmentTable.values.sorted { $0.key < $1.key } }

    public func group(_ id: GroupID) -> Group? { groupTable[id] }
    public func ioas(_ id: IOASID) -> IOAS? { ioasTable[id] }
    public func hwpt(_ id: HWPTID) -> HWPT? { hwptTable[id] }
    public func domain(_ id: DomainID) -> Domain? { domainTable[id] }
    public func session(_ id: SessionID) -> Session? { sessionTable[id] }
    public func attachment(_ requester: RequesterID, pasid: PASID? = nil) -> Attachment? {
        attachmentTable[AttachmentKey(requester, pasid)]
    }

    /// The HWPT marked with `token`, or `nil`.
    public func hwpt(token: UInt64) -> HWPT? { hwptTable.values.first { $0.token == token } }

    /// The group of a device, or `nil`.
    public func group(of requester: RequesterID) -> Group? {
        machine.device(requester).flatMap { groupTable[$0.group] }
    }

    /// A page of a lookup structure.
    public struct LookupPage: Sendable, Hashable {
        public enum Kind: String, Sendable, Hashable {
            case vtdRoot, vtdContext
        }
        public var address: PhysicalAddress
        public var kind: Kind
    }

    /// Root and context tables of `unit`, by address.
    public func lookupPages(of unit: UnitID) -> [LookupPage] {
        guard let state = unitTable[unit] else { return [] }
        let contexts = Set(state.contextTables.values).map { LookupPage(address: $0, kind: .vtdContext) }
        return ([LookupPage(address: state.rootTable, kind: .vtdRoot)] + contexts).sorted { $0.address < $1.address }
    }

    /// A page of a domain's page tables.
    public struct TablePage: Sendable, Hashable {
        public var address: PhysicalAddress
        /// Level 0 maps 4 KiB.
        public var level: UInt8
    }

    /// Every page of a paging domain's tables, by (address, level); empty for other domains. O(tables).
    public func tablePages(of domain: DomainID) -> [TablePage] {
        guard let table = domainTable[domain]?.table else { return [] }
        return scan(table).sortedNodes.map { TablePage(address: $0.page, level: UInt8($0.level)) }
    }

    /// The cache tags that a unit has given out or reserved, ascending.
    public func cacheTagsInUse(on unit: UnitID) -> [UInt32] { unitTable[unit]?.tags.inUse ?? [] }

    /// What decides which frames the next tables get (``PageTables/TableArena/state``).
    public var arenaState: [UInt64] { arena.state }

    /// The id given out last, over all kinds of objects.
    public var lastObjectID: UInt32 { lastID }

    /// The physical address of an area's first byte.
    public func physicalAddress(of area: IOPTArea) -> PhysicalAddress? {
        backingTable[area.backing]?.address(offset: area.offset, bytes: area.range.lastOffset + 1)
    }
}
