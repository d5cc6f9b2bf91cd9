import IOMMUModel

/// A translation domain.
public struct DomainRecord: Sendable, Hashable {
    /// Key of the record.
    public var id: DomainID
    /// What it does with a request.
    public var kind: DomainKind
    /// Who answered for it when it was recorded.
    public var holder: DomainHolder
    /// Carried by the handover of this generation.
    public var preserved: Bool
    /// All as given; nothing is checked.
    public init(id: DomainID, kind: DomainKind, holder: DomainHolder, preserved: Bool = false) {
        self.id = id
        self.kind = kind
        self.holder = holder
        self.preserved = preserved
    }
}

/// A domain on one unit: its cache tag and, for a paging domain, its root and geometry there.
public struct DomainUnitRecord: Sendable, Hashable {
    /// First part of the key.
    public var domain: DomainID
    /// Second part of the key.
    public var unit: UnitID
    /// The tag that the unit's caches are keyed by (VT-d: DID).
    public var cacheTag: UInt32
    /// `nil` for a domain without tables, and for an imported one whose context entry the hardware refuses.
    public var tables: Geometry?

    /// Root and shape of a domain's page tables.
    public struct Geometry: Sendable, Hashable {
        /// What the bits of a table word mean.
        public var format: PageTableFormatKind
        /// The root table, 4 KiB aligned.
        public var root: PhysicalAddress
        /// Level of the root table; level 0 maps 4 KiB.
        public var topLevel: UInt8
        /// Width of the input address in bits.
        public var addressBits: UInt8
        /// All as given; nothing is checked.
        public init(format: PageTableFormatKind, root: PhysicalAddress, topLevel: UInt8, addressBits: UInt8) {
            self.format = format
            self.root = root
            self.topLevel = topLevel
            self.addressBits = addressBits
        }
    }

    /// All as given; nothing is checked.
    public init(domain: DomainID, unit: UnitID, cacheTag: UInt32, tables: Geometry?) {
        self.domain = domain
        self.unit = unit
        self.cacheTag = cacheTag
        self.tables = tables
    }
}

/// A hardware page table object: the iommufd side of a domain.
public struct HWPTRecord: Sendable, Hashable {
    /// Key of the record.
    public var id: HWPTID
    /// The address space whose areas its tables hold.
    public var ioas: IOASID
    /// The domain that it stands for.
    public var domain: DomainID
    /// The token it is preserved under, or `nil` when it is not marked.
    public var token: UInt64?
    /// All as given; nothing is checked.
    public init(id: HWPTID, ioas: IOASID, domain: DomainID, token: UInt64?) {
        self.id = id
        self.ioas = ioas
        self.domain = domain
        self.token = token
    }
}

/// What one device's requests, with one PASID or untagged, are translated by.
public struct AttachmentRecord: Sendable, Hashable {
    /// First part of the key.
    public var requester: RequesterID
    /// `nil`: untagged.
    public var pasid: PASID?
    /// What the requests go through; the blocked domain where the freeze cleared the entry.
    public var domain: DomainID
    /// Where the entry stands in memory that makes the hardware do so (VT-d legacy: the context entry). 8-byte aligned;
    /// `nil` when there is no table for it to stand in (a blocked device on a bus without a context table).
    public var entryAddress: PhysicalAddress?
    /// All as given; nothing is checked.
    public init(requester: RequesterID, pasid: PASID?, domain: DomainID, entryAddress: PhysicalAddress?) {
        self.requester = requester
        self.pasid = pasid
        self.domain = domain
        self.entryAddress = entryAddress
    }
}
