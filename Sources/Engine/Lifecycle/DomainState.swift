import IOMMUModel

/// The life of a domain that is handed over, as one (device, PASID) sees it (live-update.md 3.2, lifecycle.md).
public enum DomainState: String, Sendable, Hashable, CaseIterable {
    /// The running engine's, mutable.
    case live = "D0"
    /// Its HWPT is marked with a token.
    case marked = "D1"
    /// A session carries it: recorded, its IOAS immutable.
    case preserved = "D2"
    /// Inside the freeze.
    case frozen = "D3"
    /// Sealed; no kernel runs, the devices go on.
    case inFlight = "D4"
    /// A new engine validates the record; units, tags and pages are taken over first.
    case staged = "D5"
    /// Attached by the core before anything else saw the device.
    case restored = "D6"
    /// VFIO holds DMA ownership through the session.
    case claimed = "D7"
    /// iommufd has an object for it.
    case adopted = "D8"
    /// There is a page table object of userspace's own beside it.
    case rebuilding = "D9"
    /// A tree of userspace's own was compared with it and is equal.
    case verified = "D10"
    /// The requests are on userspace's own tables.
    case replaced = "D11"
    /// Given up: the device is on its default domain, its reset done.
    case released = "D12"
    /// Taken back before the jump: mutable again.
    case reverted = "E1"
    /// Its agent is gone or never came; attached, and can be claimed.
    case orphaned = "E2"
    /// Blocked, bus master off; tag and pages stay held.
    case quarantined = "E3"
    /// Nothing can be shown and nothing blocked: the machine stops.
    case fatal = "E4"
}

extension LiveEngine {
    /// Where the requests of `requester` with `pasid` stand; `nil` when there is no such attachment. What was reverted (E1)
    /// is live or marked again; a frozen, in-flight or fatal one has no running engine. O(HWPTs).
    public func domainState(_ requester: RequesterID, pasid: PASID? = nil) -> DomainState? {
        guard let attachment = attachmentTable[AttachmentKey(requester, pasid)],
            let domain = domainTable[attachment.domain]
        else { return nil }
        switch attachment.state {
        case .live: return domain.hwpt.flatMap { hwptTable[$0]?.token } == nil ? .live : .marked
        case .preserved: return .preserved
        case .restored: return .restored
        case .claimed: return .claimed
        case .adopted:
            if verifiedDomains.values.contains(where: { $0.contains(domain.parent ?? domain.id) }) { return .verified }
            return hwptTable.values.contains { $0.ioas != nil } ? .rebuilding : .adopted
        case .orphaned: return .orphaned
        case .replaced: return .replaced
        case .released: return .released
        case .quarantined: return .quarantined
        }
    }
}
