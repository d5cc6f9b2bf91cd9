import Hardware
import IOMMUModel
import PageTables

/// The engine's state as plain values, every array sorted by its key: what is recorded of it.
extension LiveEngine {
    /// Ascending by id, registers as they are now.
    public var units: [UnitDescription] { machine.units.map(\.description) }
    /// Ascending by requester id; alias ids of bridges included.
    public var devices: [MachineDevice] { machine.devices }
    /// Ascending by id. As the arrays below, sorted anew at each call: O(n log n).
    public var groups: [Group] { groupTable.values.sorted { $0.id < $1.id } }
    /// Ascending by id.
    public var backings: [Backing] { backingTable.values.sorted { $0.id < $1.id } }
    /// Ascending by id.
    public var ioases: [IOAS] { ioasTable.values.sorted { $0.id < $1.id } }
    /// Ascending by id, adopted ones included.
    public var hwpts: [HWPT] { hwptTable.values.sorted { $0.id < $1.id } }
    /// Ascending by id: 1 is the blocked domain, 2 the engine's own pass-through one, both always there.
    public var domains: [Domain] { domainTable.values.sorted { $0.id < $1.id } }
    /// Ascending by id, incoming and outgoing.
    public var sessions: [Session] { sessionTable.values.sorted { $0.id < $1.id } }
    /// Ascending by requester id, then PASID, untagged first; at least one per device.
    public var attachments: [Attachment] { attachmentTable.values.sorted { $0.key < $1.key } }

    /// The domain that lets nothing pass.
    public var blockedDomainID: DomainID { blockedDomain }
    /// `nil` when no device of the machine is in it.
    public func group(_ id: GroupID) -> Group? { groupTable[id] }
    /// `nil` when it was never added.
    public func backing(_ id: BackingID) -> Backing? { backingTable[id] }
    /// `nil` when it was never created or is gone.
    public func ioas(_ id: IOASID) -> IOAS? { ioasTable[id] }
    /// `nil` when it was never created or is gone.
    public func hwpt(_ id: HWPTID) -> HWPT? { hwptTable[id] }
    /// `nil` when it was never created or is freed.
    public func domain(_ id: DomainID) -> Domain? { domainTable[id] }
    /// `nil` when it was never created, is closed or finished.
    public func session(_ id: SessionID) -> Session? { sessionTable[id] }
    /// By what the device's requests are translated; without `pasid` the untagged ones. `nil` for a device or PASID
    /// that
    /// the engine does not know.
    public func attachment(_ requester: RequesterID, pasid: PASID? = nil) -> Attachment? {
        attachmentTable[AttachmentKey(requester, pasid)]
    }

    /// The HWPT marked with `token`, or `nil`.
    public func hwpt(token: UInt64) -> HWPT? { hwptTable.values.first { $0.token == token } }

    /// The group of a device, or `nil`.
    public func group(of requester: RequesterID) -> Group? {
        machine.device(requester).flatMap { groupTable[$0.group] }
    }

    /// Every page of the lookup structures of `unit`, by address. O(lookup entries).
    public func lookupPages(of unit: UnitID) -> [LookupListing.Page] {
        guard unitTable[unit] != nil else { return [] }
        return machine.unit(unit)?.hardware.listing(memory: machine.memory.view).pages ?? []
    }

    /// A page of a domain's page tables.
    public struct TablePage: Sendable, Hashable {
        /// 4 KiB aligned.
        public var address: PhysicalAddress
        /// Level 0 maps 4 KiB.
        public var level: UInt8
    }

    /// Every page of a paging domain's tables, by (address, level); empty for other domains. O(tables).
    public func tablePages(of domain: DomainID) -> [TablePage] {
        guard let table = domainTable[domain]?.table else { return [] }
        return scan(table).sortedNodes.map { TablePage(address: $0.page, level: UInt8($0.level)) }
    }

    /// Calls `visit` with each table of a paging domain as it is read, once per level that it is used at; not at all for
    /// other domains. O(tables).
    package func visitTables(of domain: DomainID, _ visit: (ScannedTable) -> Void) {
        guard let table = domainTable[domain]?.table else { return }
        _ = Walker.scan(table.stage, memory: machine.memory.view, visit: visit)
    }

    /// True when a guest may write the lookup structures of `unit` (AMD: its GCR3 tables are in the guest's memory).
    package func isLookupShared(_ unit: UnitHardware) -> Bool {
        guard case .amd(let hardware) = unit.hardware else { return false }
        return hardware.registers.control?.guestAddressesGCR3 ?? true
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
