import IOMMUModel

/// What one device's requests, with one PASID or untagged, are translated by.
public struct AttachmentRecord: Sendable, Hashable {
    /// First part of the key.
    public var requester: RequesterID
    /// `nil`: untagged.
    public var pasid: PASID?
    /// What the requests go through; the blocked domain where the freeze cleared the entry.
    public var domain: DomainID
    /// The tag that the caches of the device's unit are keyed by (VT-d: DID; AMD: DomainID; SMMUv3: VMID); `nil`:
    /// blocked, nothing is cached. One domain may be attached under several tags.
    public var cacheTag: UInt32?
    /// The PASID that is part of the cache key beside ``cacheTag``; `nil` when the tag alone is the key (second stage,
    /// AMD v1, pass-through). Untagged requests through first-stage tables have the PASID that they are looked up under.
    public var cachePASID: PASID?
    /// Where the entry stands in memory that makes the hardware do so (VT-d: context entry, in scalable mode PASID-table
    /// entry; AMD: device table entry or GCR3 entry). 8-byte aligned; `nil` when there is no table for it to stand in (a
    /// blocked device on a bus without a context table).
    public var entryAddress: PhysicalAddress?
    /// All as given; nothing is checked.
    public init(
        requester: RequesterID, pasid: PASID?, domain: DomainID, cacheTag: UInt32?, cachePASID: PASID? = nil,
        entryAddress: PhysicalAddress?
    ) {
        self.requester = requester
        self.pasid = pasid
        self.domain = domain
        self.cacheTag = cacheTag
        self.cachePASID = cachePASID
        self.entryAddress = entryAddress
    }
}
