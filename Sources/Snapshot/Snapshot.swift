import IOMMUModel

/// The frozen state of one machine's IOMMUs as values: what one generation of the store holds.
///
/// Every array is sorted by its records' key (``normalize()``), so that equal states are equal values.
public struct Snapshot: Sendable, Hashable {
    /// Where a snapshot came from.
    public enum Origin: String, Sendable, Hashable, CaseIterable {
        /// A simulated engine.
        case engine
        /// A memory image.
        case imported
    }

    /// Where it came from: rules are milder on an image.
    public var origin: Origin
    /// By id.
    public var units: [UnitRecord] = []
    /// By range, then kind.
    public var memoryRanges: [MemoryRangeRecord] = []
    /// By id.
    public var groups: [GroupRecord] = []
    /// By requester id; alias ids of bridges included.
    public var devices: [DeviceRecord] = []
    /// By group, then range, then kind.
    public var reservedRegions: [ReservedRegionRecord] = []
    /// By id.
    public var backings: [BackingRecord] = []
    /// By id.
    public var sessions: [SessionRecord] = []
    /// By id.
    public var ioases: [IOASRecord] = []
    /// Sorted by IOAS, then first IOVA.
    public var areas: [AreaRecord] = []
    /// By id.
    public var domains: [DomainRecord] = []
    /// By domain, then unit.
    public var domainUnits: [DomainUnitRecord] = []
    /// By id.
    public var hwpts: [HWPTRecord] = []
    /// By requester id, then PASID, untagged first.
    public var attachments: [AttachmentRecord] = []
    /// Pages of root, context and other lookup tables, per unit; sorted by unit.
    public var lookupPages: [UnitPages] = []
    /// Page-table pages per paging domain, all its trees together; sorted by domain.
    public var tablePages: [DomainPages] = []
    /// Whatever bit-for-bit replay of the engine needs beside the records, as name → bytes, sorted by name.
    public var engineState: [EngineStateRecord] = []

    /// No records.
    public init(origin: Origin) { self.origin = origin }

    /// Brings every array into the order of its keys. O(n log n), O(n) where it is in order.
    public mutating func normalize() {
        normalizeAllButAreas()
        // Sorting takes half as much memory again, also where there is nothing to do, and these are many.
        func precedes(_ a: AreaRecord, _ b: AreaRecord) -> Bool { (a.ioas, a.range) < (b.ioas, b.range) }
        if !zip(areas, areas.dropFirst()).allSatisfy({ !precedes($1, $0) }) { areas.sort(by: precedes) }
    }

    /// As ``normalize()``, of areas that are in order.
    package mutating func normalizeAllButAreas() {
        units.sort { $0.id < $1.id }
        memoryRanges.sort { ($0.range, $0.kind.rawValue) < ($1.range, $1.kind.rawValue) }
        groups.sort { $0.id < $1.id }
        devices.sort { $0.requester < $1.requester }
        reservedRegions.sort { ($0.group, $0.range, $0.kind.rawValue) < ($1.group, $1.range, $1.kind.rawValue) }
        backings.sort { $0.id < $1.id }
        sessions.sort { $0.id < $1.id }
        ioases.sort { $0.id < $1.id }
        domains.sort { $0.id < $1.id }
        domainUnits.sort { ($0.domain, $0.unit) < ($1.domain, $1.unit) }
        hwpts.sort { $0.id < $1.id }
        attachments.sort {
            $0.requester != $1.requester
                ? $0.requester < $1.requester : PASID?.precedes($0.pasid, $1.pasid)
        }
        lookupPages.sort { $0.unit < $1.unit }
        tablePages.sort { $0.domain < $1.domain }
        engineState.sort { $0.name < $1.name }
    }
}

extension Snapshot {
    /// Groups that must not be blocked: they have a non-relaxable `direct` region.
    public var unblockableGroups: Set<GroupID> { Set(reservedRegions.lazy.filter { $0.kind == .direct }.map(\.group)) }

    /// Attachments of devices that are not preserved and could not be blocked either: they keep their domain over the jump
    /// (policy `keep`), and nobody gets them.
    public var keptAttachments: [AttachmentRecord] {
        let unblockable = unblockableGroups
        let kept = Set(devices.lazy.filter { !$0.preserved && unblockable.contains($0.group) }.map(\.requester))
        let blocked = Set(domains.lazy.filter { $0.kind == .blocked }.map(\.id))
        return attachments.filter { kept.contains($0.requester) && !blocked.contains($0.domain) }
    }
}

extension Snapshot {
    /// A cache tag of one unit.
    public struct UnitTag: Sendable, SmallKey, Comparable {
        /// The unit whose caches it keys.
        public var unit: UnitID
        /// As ``AttachmentRecord/cacheTag``.
        public var tag: UInt32
        /// Both as given; nothing is checked.
        public init(unit: UnitID, tag: UInt32) {
            self.unit = unit
            self.tag = tag
        }
        /// Unit and tag.
        @inlinable public var hashWord: UInt64 { unit.hashWord &<< 32 | UInt64(tag) }
        /// By unit, then tag.
        public static func < (a: Self, b: Self) -> Bool { (a.unit, a.tag) < (b.unit, b.tag) }
    }

    /// The tags that each domain is attached under, on the units of its devices: each once, ascending. O(n log n).
    public var cacheTags: [DomainID: [UnitTag]] {
        let units = Dictionary(devices.map { ($0.requester, $0.unit) }, uniquingKeysWith: { first, _ in first })
        var found: [DomainID: Set<UnitTag>] = [:]
        for attachment in attachments {
            guard let tag = attachment.cacheTag, let unit = units[attachment.requester] else { continue }
            found[attachment.domain, default: []].insert(UnitTag(unit: unit, tag: tag))
        }
        return found.mapValues { $0.sorted() }
    }
}

/// The lookup-structure pages of one unit.
public struct UnitPages: Sendable, Hashable {
    /// Key of the record.
    public var unit: UnitID
    /// Levels are those of ``LookupLevel``.
    public var pages: PageSet
    /// Both as given; nothing is checked.
    public init(unit: UnitID, pages: PageSet) {
        self.unit = unit
        self.pages = pages
    }
}

/// The page-table pages of one domain.
public struct DomainPages: Sendable, Hashable {
    /// Key of the record.
    public var domain: DomainID
    /// Levels count from the leaf: level 0 maps 4 KiB.
    public var pages: PageSet
    /// Both as given; nothing is checked.
    public init(domain: DomainID, pages: PageSet) {
        self.domain = domain
        self.pages = pages
    }
}
