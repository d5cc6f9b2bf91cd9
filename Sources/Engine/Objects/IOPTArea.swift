import IOMMUModel

/// One area of an IOAS: a range of IOVAs mapped to consecutive bytes of one backing.
public struct IOPTArea: Sendable, Hashable {
    /// Whole 4 KiB pages.
    public let range: IOVARange
    public let backing: BackingID
    /// Offset of the first byte in the backing, a multiple of 4 KiB.
    public let offset: UInt64
    public let protection: Protection

    public init(range: IOVARange, backing: BackingID, offset: UInt64, protection: Protection) {
        self.range = range
        self.backing = backing
        self.offset = offset
        self.protection = protection
    }
}
