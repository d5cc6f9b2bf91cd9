import IOMMUModel

/// What one device's requests, with one PASID or untagged, are translated by. A device never has no domain: every device
/// has its untagged attachment from the engine's first moment on.
public struct Attachment: Sendable, Hashable {
    /// Never changes: an attachment moves from domain to domain.
    public let key: AttachmentKey
    /// What the requests go through now.
    public internal(set) var domain: DomainID
    /// Where the entry stands in memory that makes the hardware do so (VT-d: the context entry, in scalable mode the
    /// PASID-table entry; AMD: the device table entry, with guest tables the GCR3 entry); `nil` when the domain is the
    /// blocked one and no such table exists.
    public internal(set) var entryAddress: PhysicalAddress?
    /// What the unit's caches hold its translations under; `nil` when the hardware refuses its requests.
    public internal(set) var space: CacheSpace?
    /// Where it stands in the handover.
    public internal(set) var state: LifecycleState
    /// The session that carries it or brought it here.
    public internal(set) var session: SessionID?
    /// Preserved with the guards of ``PreserveOptions/lab`` skipped.
    public internal(set) var isLab = false
    /// Replaced without a successful compare, on the caller's own insistence.
    public internal(set) var isReplacedUnverified = false
    /// The former kernel's domain whose tag and pages a quarantined device keeps from being reused.
    public internal(set) var heldDomain: DomainID?

    /// The device of ``key``.
    public var requester: RequesterID { key.requester }
    /// The PASID of ``key``; `nil`: untagged.
    public var pasid: PASID? { key.pasid }
}
