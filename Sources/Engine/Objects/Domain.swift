import IOMMUModel
import PageTables

/// A translation domain.
public struct Domain {
    /// Unique in the engine, never used again.
    public let id: DomainID
    /// What it does with a request.
    public let kind: DomainKind
    /// Who answers for it; exactly one at each instant.
    public internal(set) var holder: DomainHolder
    /// Its page tables; `nil` unless it is a paging domain.
    public internal(set) var table: PageTable?
    /// The guest's tables, read and never written here; `nil` unless it is a nested domain.
    public internal(set) var guestStage: TranslationStage?
    /// The domain whose tables the guest's addresses go through; `nil` unless it is a nested domain.
    public internal(set) var parent: DomainID?
    /// Its cache tags on the units that it was attached behind, sorted by unit; of one unit several only when a former
    /// kernel gave it several. Kept as long as the domain lives. (AMD: guest tables have the tag of their device.)
    public internal(set) var cacheTags: [CacheTag] = []
    /// It came from a former kernel: freed, with tags and table pages, when its last attachment is gone.
    public internal(set) var isInherited = false
    /// Inherited: its tables are not what was recorded; they are freed by nobody.
    public internal(set) var isDistrusted = false
    /// Inherited: the token of the HWPT that it was preserved under.
    public internal(set) var token: UInt64?
    /// Inherited: the session that it came in.
    public internal(set) var session: SessionID?
    /// What keeps it alive: its attachments, and quarantined devices that may still be busy with it.
    public internal(set) var users: Set<AttachmentKey> = []
    /// The iommufd object that it belongs to.
    public internal(set) var hwpt: HWPTID?
    /// How many preserved attachments go through it.
    public internal(set) var preservedCount = 0

    /// The tag that a unit's caches are keyed by (VT-d: DID).
    public struct CacheTag: Sendable, SmallKey {
        /// The unit that the tag is of.
        public var unit: UnitID
        /// VT-d: a DID, 16 bits or as many as CAP.ND gives.
        public var cacheTag: UInt32
        /// Both as given; the engine checks them when they are used.
        public init(unit: UnitID, cacheTag: UInt32) {
            self.unit = unit
            self.cacheTag = cacheTag
        }
        /// Unit and tag.
        @inlinable public var hashWord: UInt64 { unit.hashWord &<< 32 | UInt64(cacheTag) }
    }

    init(id: DomainID, kind: DomainKind, holder: DomainHolder, table: PageTable? = nil) {
        self.id = id
        self.kind = kind
        self.holder = holder
        self.table = table
    }

    /// The lowest tag on `unit`, or `nil` when it has none there.
    public func cacheTag(on unit: UnitID) -> UInt32? { cacheTags.first { $0.unit == unit }?.cacheTag }

    /// Its tables, or those of its first stage, are a guest's kind, which AMD caches under the tags of devices.
    var isGuestTables: Bool { (table?.stage ?? guestStage)?.configuration.format == .x86_64 }

    /// Carried by a handover.
    public var isPreserved: Bool { preservedCount > 0 }
}
