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

    public var origin: Origin
    public var units: [UnitRecord] = []
    public var memoryRanges: [MemoryRangeRecord] = []
    public var groups: [GroupRecord] = []
    public var devices: [DeviceRecord] = []
    public var reservedRegions: [ReservedRegionRecord] = []
    public var backings: [BackingRecord] = []
    public var sessions: [SessionRecord] = []
    public var ioases: [IOASRecord] = []
    /// Sorted by IOAS, then first IOVA.
    public var areas: [AreaRecord] = []
    public var domains: [DomainRecord] = []
    public var domainUnits: [DomainUnitRecord] = []
    public var hwpts: [HWPTRecord] = []
    public var attachments: [AttachmentRecord] = []
    /// Pages of root, context and other lookup tables, per unit; sorted by unit.
    public var lookupPages: [UnitPages] = []
    /// Page-table pages per paging domain, all its trees together; sorted by domain.
    public var tablePages: [DomainPages] = []
    /// Whatever bit-for-bit replay of the engine needs beside the records, as name → bytes, sorted by name.
    public var engineState: [EngineStateRecord] = []

    public init(origin: Origin) { self.origin = origin }

    /// Brings every array into the order of its keys. O(n log n).
    public mutating func normalize() {
        units.sort { $0.id < $1.id }
        memoryRanges.sort { ($0.range, $0.kind.rawValue) < ($1.range, $1.kind.rawValue) }
        groups.sort { $0.id < $1.id }
        devices.sort { $0.requester < $1.requester }
        reservedRegions.sort { ($0.group, $0.range, $0.kind.rawValue) < ($1.group, $1.range, $1.kind.rawValue) }
        backings.sort { $0.id < $1.id }
        sessions.sort { $0.id < $1.id }
        ioases.sort { $0.id < $1.id }
        areas.sort { ($0.ioas, $0.range) < ($1.ioas, $1.range) }
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

/// The lookup-structure pages of one unit.
public struct UnitPages: Sendable, Hashable {
    public var unit: UnitID
    public var pages: PageSet
    public init(unit: UnitID, pages: PageSet) {
        self.unit = unit
        self.pages = pages
    }
}

/// The page-table pages of one domain.
public struct DomainPages: Sendable, Hashable {
    public var domain: DomainID
    public var pages: PageSet
    public init(domain: DomainID, pages: PageSet) {
        self.domain = domain
        self.pages = pages
    }
}
