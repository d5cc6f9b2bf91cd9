import IOMMUModel

/// Memory that areas are backed by.
public struct BackingRecord: Sendable, Hashable {
    /// What the memory is.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// Host physical memory itself: an area's offset is the physical address.
        case physical
        /// A memory file; offset 0 lies at ``BackingRecord/base``.
        case memfd
    }

    /// Key of the record.
    public var id: BackingID
    /// What the memory is.
    public var kind: Kind
    /// Where offset 0 lies in physical memory (the simulated file is contiguous); 0 for ``Kind/physical``.
    public var base: PhysicalAddress
    /// Size in bytes; 0 for ``Kind/physical``.
    public var byteCount: UInt64
    /// File seals are set (SEAL, GROW, SHRINK).
    public var isSealed: Bool
    /// The statement about the file was assumed, not observed (an imported machine).
    public var isAssumed: Bool

    /// All as given; nothing is checked.
    public init(
        id: BackingID, kind: Kind, base: PhysicalAddress, byteCount: UInt64, isSealed: Bool, isAssumed: Bool = false
    ) {
        self.id = id
        self.kind = kind
        self.base = base
        self.byteCount = byteCount
        self.isSealed = isSealed
        self.isAssumed = isAssumed
    }
}

/// An I/O address space of iommufd.
public struct IOASRecord: Sendable, Hashable {
    /// Key of the record.
    public var id: IOASID
    /// Whether its areas say anything that the tables do not say themselves.
    public var areaOrigin: AreaOrigin
    /// Set at preserve: map, unmap and cut answer `EBUSY`.
    public var isImmutable: Bool
    /// All as given; nothing is checked.
    public init(id: IOASID, areaOrigin: AreaOrigin, isImmutable: Bool) {
        self.id = id
        self.areaOrigin = areaOrigin
        self.isImmutable = isImmutable
    }
}

/// One area of an IOAS: a range of IOVAs mapped to consecutive bytes of one backing.
///
/// There are as many as a million of them: the order of the fields leaves no gaps between them.
public struct AreaRecord: Sendable, Hashable {
    /// Whole pages.
    public var range: IOVARange
    /// Offset of the first byte in the backing, a multiple of 4 KiB.
    public var offset: UInt64
    /// First part of the key; the first IOVA is the second.
    public var ioas: IOASID
    /// What the range is mapped to.
    public var backing: BackingID
    /// No flags are defined yet; always 0.
    public var flags: UInt16
    /// What the tables grant over the whole range.
    public var protection: Protection
    /// All as given; nothing is checked.
    public init(
        ioas: IOASID, range: IOVARange, backing: BackingID, offset: UInt64, protection: Protection, flags: UInt16 = 0
    ) {
        self.ioas = ioas
        self.range = range
        self.backing = backing
        self.offset = offset
        self.protection = protection
        self.flags = flags
    }
}
