import IOMMUModel

/// A device and a PASID: what a domain is attached to.
public struct AttachmentKey: Sendable, Hashable, Comparable {
    public var requester: RequesterID
    /// `nil`: requests without a PASID.
    public var pasid: PASID?

    public init(_ requester: RequesterID, _ pasid: PASID? = nil) {
        self.requester = requester
        self.pasid = pasid
    }

    public static func < (a: Self, b: Self) -> Bool {
        a.requester != b.requester ? a.requester < b.requester : PASID?.precedes(a.pasid, b.pasid)
    }
}

/// What one device's requests, with one PASID or untagged, are translated by. A device never has no domain: every device
/// has its untagged attachment from the engine's first moment on.
public struct Attachment: Sendable, Hashable {
    public let key: AttachmentKey
    public internal(set) var domain: DomainID
    /// Where the entry stands in memory that makes the hardware do so (VT-d legacy: the context entry); `nil` when the
    /// domain is the blocked one and no such table exists.
    public internal(set) var entryAddress: PhysicalAddress?
    public internal(set) var state: LifecycleState
    /// The session that carries it or brought it here.
    public internal(set) var session: SessionID?
    /// Preserved with the guards of ``PreserveOptions/lab`` skipped.
    public internal(set) var isLab = false
    /// Replaced without a successful compare, on the caller's own insistence.
    public internal(set) var isReplacedUnverified = false
    /// The former kernel's domain whose tag and pages a quarantined device keeps from being reused.
    public internal(set) var heldDomain: DomainID?

    public var requester: RequesterID { key.requester }
    public var pasid: PASID? { key.pasid }
}
