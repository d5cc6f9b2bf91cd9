/// Where one (device, PASID) stands in the engine's books; with what the books of others say it is a ``DomainState``.
public enum LifecycleState: String, Sendable, Hashable, CaseIterable {
    /// D0, and D1 when its HWPT is marked: mutable, the running engine's.
    case live
    /// D2: recorded by a session, its IOAS is immutable.
    case preserved
    /// D6: a former kernel's domain, attached by the core before anything else saw the device.
    case restored
    /// D7: VFIO holds DMA ownership through the session.
    case claimed
    /// D8, D9 while userspace builds the new HWPT, D10 when it was found equal: iommufd has an object for the domain.
    case adopted
    /// E2: its agent died, or did not come in time; everything stays as it is, for the next one.
    case orphaned
    /// D11: on a new HWPT; the session is not finished yet.
    case replaced
    /// D12: given up; the device is on its default domain.
    case released
    /// E3: blocked, bus master off; tag and pages of its former domain stay held.
    case quarantined

    /// True while the device's requests go through the former kernel's tables (D6 to D10, E2).
    public var isInherited: Bool { isUnclaimed || self == .claimed || self == .adopted }

    /// True while nobody holds the device's DMA who could answer for it (D6, E2).
    public var isUnclaimed: Bool { self == .restored || self == .orphaned }

    /// True when `finish` of its session needs nothing more of it.
    public var isSettled: Bool { !isInherited && self != .preserved }
}
