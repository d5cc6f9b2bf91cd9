import IOMMUModel

/// What became different between two recordings of one machine: records to write, and keys of records that are gone.
///
/// Areas and pages change by owner: those of an owner that is named replace all that were recorded of it.
public struct SnapshotChanges: Sendable, Hashable {
    /// The records that are new or different, and none else. ``Snapshot/areas`` holds all areas of each of ``areaOwners``;
    /// ``Snapshot/lookupPages`` and ``Snapshot/tablePages`` all pages of each owner in them.
    public var records: Snapshot
    /// The address spaces whose areas ``records`` holds, ascending; with no area where an address space has none.
    public var areaOwners: [IOASID] = []
    /// What was recorded and is not there any more.
    public var gone = Gone()

    /// Keys of records, each ascending.
    public struct Gone: Sendable, Hashable {
        /// Of ``Snapshot/groups``.
        public var groups: [GroupID] = []
        /// Of ``Snapshot/devices``.
        public var devices: [RequesterID] = []
        /// Of ``Snapshot/sessions``.
        public var sessions: [SessionID] = []
        /// Of ``Snapshot/backings``.
        public var backings: [BackingID] = []
        /// Of ``Snapshot/ioases``, with all their areas.
        public var ioases: [IOASID] = []
        /// Of ``Snapshot/domains``.
        public var domains: [DomainID] = []
        /// Of ``Snapshot/domainUnits``.
        public var domainUnits: [DomainUnitKey] = []
        /// Of ``Snapshot/hwpts``.
        public var hwpts: [HWPTID] = []
        /// Of ``Snapshot/attachments``.
        public var attachments: [AttachmentKey] = []
        /// Of ``Snapshot/tablePages``: domains that had table pages and have none.
        public var tablePages: [DomainID] = []

        /// Nothing.
        public init() {}
    }

    /// Nothing.
    public init(origin: Snapshot.Origin) { records = Snapshot(origin: origin) }
}

/// The key of a ``DomainUnitRecord``.
public struct DomainUnitKey: Sendable, Hashable, Comparable {
    /// First part of the key.
    public var domain: DomainID
    /// Second part of the key.
    public var unit: UnitID

    /// Both as given.
    public init(domain: DomainID, unit: UnitID) {
        self.domain = domain
        self.unit = unit
    }

    /// By domain, then unit.
    public static func < (a: Self, b: Self) -> Bool { (a.domain, a.unit) < (b.domain, b.unit) }
}

extension DomainUnitRecord {
    /// What no other record has.
    public var key: DomainUnitKey { DomainUnitKey(domain: domain, unit: unit) }
}

extension AttachmentRecord {
    /// What no other record has.
    public var key: AttachmentKey { AttachmentKey(requester, pasid) }
}

extension Snapshot {
    /// Brings this snapshot up to what `changes` tell. O(n log n) in the records of both.
    public mutating func apply(_ changes: SnapshotChanges) {
        let (new, gone) = (changes.records, changes.gone)
        func merge<R, Key: Hashable>(_ old: inout [R], _ new: [R], _ gone: [Key], _ key: (R) -> Key) {
            let replaced = Set(new.map(key)).union(gone)
            if !replaced.isEmpty { old.removeAll { replaced.contains(key($0)) } }
            old += new
        }
        merge(&units, new.units, [], \.id)
        merge(&memoryRanges, new.memoryRanges, [], \.self)
        merge(&groups, new.groups, gone.groups, \.id)
        merge(&devices, new.devices, gone.devices, \.requester)
        merge(&reservedRegions, new.reservedRegions, [], \.self)
        merge(&backings, new.backings, gone.backings, \.id)
        merge(&sessions, new.sessions, gone.sessions, \.id)
        merge(&ioases, new.ioases, gone.ioases, \.id)
        let spaces = Set(changes.areaOwners).union(gone.ioases)
        areas.removeAll { spaces.contains($0.ioas) }
        areas += new.areas
        merge(&domains, new.domains, gone.domains, \.id)
        merge(&domainUnits, new.domainUnits, gone.domainUnits, \.key)
        merge(&hwpts, new.hwpts, gone.hwpts, \.id)
        merge(&attachments, new.attachments, gone.attachments, \.key)
        merge(&lookupPages, new.lookupPages, [], \.unit)
        merge(&tablePages, new.tablePages, gone.tablePages, \.domain)
        merge(&engineState, new.engineState, [], \.name)
        normalize()
    }
}
