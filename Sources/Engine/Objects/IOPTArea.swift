import IOMMUModel

/// One area of an IOAS: a range of IOVAs mapped to consecutive bytes of one backing.
public struct IOPTArea: Sendable, Hashable {
    /// Whole 4 KiB pages.
    public let range: IOVARange
    /// What the range is mapped to.
    public let backing: BackingID
    /// Offset of the first byte in the backing, a multiple of 4 KiB.
    public let offset: UInt64
    /// What the tables grant over the whole range.
    public let protection: Protection

    /// All as given; nothing is checked.
    public init(range: IOVARange, backing: BackingID, offset: UInt64, protection: Protection) {
        self.range = range
        self.backing = backing
        self.offset = offset
        self.protection = protection
    }
}
