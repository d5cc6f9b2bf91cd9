import IOMMUModel

/// One maximal run of what the hardware would translate for one device and PASID.
public struct RecordedMapping: Sendable, Hashable {
    public var device: RequesterID
    /// `nil`: untagged.
    public var pasid: PASID?
    /// Both ends included.
    public var range: IOVARange
    /// What the first IOVA translates to.
    public var pa: PhysicalAddress
    public var protection: Protection
}
