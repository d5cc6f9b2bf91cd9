import IOMMUModel

/// What a unit makes of the requests of one requester with one PASID, or untagged: the end of a lookup.
public struct RequestContext: Sendable, Hashable {
    /// Where the address goes.
    public var path: TranslationPath
    /// The tag of the unit's caches (VT-d: DID; AMD: DomainID; SMMUv3: VMID).
    public var cacheTag: UInt32
    /// The PASID that is part of the cache key beside ``cacheTag``; `nil` when the tag alone is the key (VT-d second
    /// stage, AMD v1, SMMUv3 stage 2, pass-through). An untagged request through first-stage tables has the PASID that it was looked up
    /// under (VT-d: RID_PASID; AMD: 0).
    public var cachePASID: PASID?
    /// Of the first word of the entry that decides: VT-d's context entry or PASID-table entry, AMD's device table entry
    /// or GCR3 entry, SMMUv3's stream table entry.
    public var entryAddress: PhysicalAddress
    /// Of the first word of the entry that decides about the device as a whole: VT-d's context entry, AMD's device table
    /// entry, SMMUv3's stream table entry; equal to ``entryAddress`` where there is no other.
    public var deviceEntryAddress: PhysicalAddress
    /// The unit records the faults of these requests (VT-d: FPD is 0; AMD: SE and SA do not suppress; SMMUv3: S2R).
    public var recordsFaults: Bool
    /// The entry lets the device have a device-TLB (VT-d: TT 1 or DTE; AMD: I; SMMUv3: EATS).
    public var allowsDeviceTLB: Bool

    /// All as given; nothing is checked.
    public init(
        path: TranslationPath, cacheTag: UInt32, cachePASID: PASID? = nil, entryAddress: PhysicalAddress,
        deviceEntryAddress: PhysicalAddress, recordsFaults: Bool = true, allowsDeviceTLB: Bool = false
    ) {
        self.path = path
        self.cacheTag = cacheTag
        self.cachePASID = cachePASID
        self.entryAddress = entryAddress
        self.deviceEntryAddress = deviceEntryAddress
        self.recordsFaults = recordsFaults
        self.allowsDeviceTLB = allowsDeviceTLB
    }
}

/// What the lookup of one requester and PASID ends in.
public enum Resolution: Sendable, Hashable {
    /// The hardware goes on with this context.
    case context(RequestContext)
    /// The hardware refuses every such request.
    case fault(HardwareFault)
    /// The unit passes every request of the device unchanged and keys nothing (AMD: V = 0).
    case untranslated
    /// A page of a lookup structure that is not in memory: unknown, not a fault.
    case absent(page: PhysicalAddress)
}
