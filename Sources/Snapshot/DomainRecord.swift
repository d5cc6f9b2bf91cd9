import IOMMUModel

/// A translation domain.
public struct DomainRecord: Sendable, Hashable {
    /// Key of the record.
    public var id: DomainID
    /// What it does with a request.
    public var kind: DomainKind
    /// Who answered for it when it was recorded.
    public var holder: DomainHolder
    /// The paging domain whose tables translate the addresses of this one's: its second stage. Set exactly for a
    /// ``DomainKind/nested`` domain.
    public var parent: DomainID?
    /// Carried by the handover of this generation.
    public var preserved: Bool
    /// All as given; nothing is checked.
    public init(
        id: DomainID, kind: DomainKind, holder: DomainHolder, parent: DomainID? = nil, preserved: Bool = false
    ) {
        self.id = id
        self.kind = kind
        self.holder = holder
        self.parent = parent
        self.preserved = preserved
    }
}

/// A domain on one unit: for one with tables, root and geometry there.
public struct DomainUnitRecord: Sendable, Hashable {
    /// First part of the key.
    public var domain: DomainID
    /// Second part of the key.
    public var unit: UnitID
    /// `nil` for a domain without tables, and for an imported one whose lookup entry the hardware refuses.
    public var tables: Geometry?

    /// Root and shape of a domain's page tables.
    public struct Geometry: Sendable, Hashable {
        /// What the bits of a table word mean.
        public var format: PageTableFormatKind
        /// The root table, 4 KiB aligned. Of a nested domain: a guest address, which the parent's tables translate.
        public var root: PhysicalAddress
        /// Level of the root table; level 0 maps 4 KiB.
        public var topLevel: UInt8
        /// Width of the input address in bits, 0 to 64.
        public var addressBits: UInt8
        /// Input addresses are sign-extended from their highest bit (canonical): two halves translate. x86-64 only.
        public var signExtended: Bool
        /// The bits that the unit sets by itself in the table entries while it walks (accessed, dirty); 0 when it sets
        /// none.
        public var hardwareUpdatedMask: UInt64
        /// All as given; nothing is checked.
        public init(
            format: PageTableFormatKind, root: PhysicalAddress, topLevel: UInt8, addressBits: UInt8,
            signExtended: Bool = false, hardwareUpdatedMask: UInt64 = 0
        ) {
            self.format = format
            self.root = root
            self.topLevel = topLevel
            self.addressBits = addressBits
            self.signExtended = signExtended
            self.hardwareUpdatedMask = hardwareUpdatedMask
        }
    }

    /// All as given; nothing is checked.
    public init(domain: DomainID, unit: UnitID, tables: Geometry?) {
        self.domain = domain
        self.unit = unit
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
