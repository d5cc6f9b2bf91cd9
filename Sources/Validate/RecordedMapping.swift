import IOMMUModel

/// One maximal run of what the hardware would translate for one device and PASID.
public struct RecordedMapping: Sendable, Hashable {
    /// Whose requests are translated.
    public var device: RequesterID
    /// `nil`: untagged.
    public var pasid: PASID?
    /// Both ends included.
    public var range: IOVARange
    /// What the first IOVA translates to.
    public var pa: PhysicalAddress
    /// The rights of all entries on the way, ANDed; never empty.
    public var protection: Protection
}
