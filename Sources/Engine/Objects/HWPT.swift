import IOMMUModel

/// A hardware page table object: the iommufd side of a paging domain.
public struct HWPT: Sendable, Hashable {
    /// Unique in the engine, never used again.
    public let id: HWPTID
    /// The address space whose areas its tables hold; `nil` for an adopted one, whose IOAS no kernel hands over, and for
    /// a nested one, whose tables are the guest's.
    public let ioas: IOASID?
    /// The paging or nested domain that it stands for, one to one.
    public let domain: DomainID
    /// The page table object whose tables are the second stage; `nil` unless it is a nested one.
    public internal(set) var parent: HWPTID?
    /// The token it is preserved under; `nil` when it is not marked.
    public internal(set) var token: UInt64?
    /// The session that it was adopted through; `nil` for an ordinary one.
    public internal(set) var session: SessionID?
    /// Dirty pages are tracked.
    public internal(set) var isDirtyTracked = false
}
