import IOMMUModel

/// An IOMMU group.
public struct GroupRecord: Sendable, Hashable {
    /// Key of the record.
    public var id: GroupID
    /// Who owned the group's DMA when it was recorded.
    public var owner: DMAOwner
    /// The DMA owner's token; 0 when there is none.
    public var ownerToken: UInt64
    /// True when the owner was inferred from a driver's name, not observed.
    public var ownerAssumed: Bool
    /// All as given; nothing is checked.
    public init(id: GroupID, owner: DMAOwner, ownerToken: UInt64 = 0, ownerAssumed: Bool = false) {
        self.id = id
        self.owner = owner
        self.ownerToken = ownerToken
        self.ownerAssumed = ownerAssumed
    }
}

/// A requester id behind a unit; with or without a PCI function of its own.
public struct DeviceRecord: Sendable, Hashable {
    /// Key of the record.
    public var requester: RequesterID
    /// The unit that its requests go through.
    public var unit: UnitID
    /// Devices of one group cannot be told apart.
    public var group: GroupID
    /// False for a bridge's alias requester id.
    public var hasFunction: Bool
    /// PCI vendor and device id, 0 when unknown.
    public var vendorID: UInt16
    /// See ``vendorID``.
    public var deviceID: UInt16
    /// PCI class code, 24 bits.
    public var classCode: UInt32
    /// The bound driver's name; empty when none or unknown.
    public var driver: String
    /// ATS (device-TLB) enabled.
    public var atsEnabled: Bool
    /// PRI (page requests) enabled.
    public var priEnabled: Bool
    /// Carried by the handover of this generation.
    public var preserved: Bool

    /// All as given; nothing is checked.
    public init(
        requester: RequesterID, unit: UnitID, group: GroupID, hasFunction: Bool = true, vendorID: UInt16 = 0,
        deviceID: UInt16 = 0, classCode: UInt32 = 0, driver: String = "", atsEnabled: Bool = false,
        priEnabled: Bool = false, preserved: Bool = false
    ) {
        self.requester = requester
        self.unit = unit
        self.group = group
        self.hasFunction = hasFunction
        self.vendorID = vendorID
        self.deviceID = deviceID
        self.classCode = classCode
        self.driver = driver
        self.atsEnabled = atsEnabled
        self.priEnabled = priEnabled
        self.preserved = preserved
    }
}

/// A reserved region of a group's I/O address space.
public struct ReservedRegionRecord: Sendable, Hashable {
    /// The group that it binds.
    public var group: GroupID
    /// What must happen to the range.
    public var kind: ReservedRegionKind
    /// Both ends included; not necessarily whole pages.
    public var range: IOVARange
    /// All as given; nothing is checked.
    public init(group: GroupID, kind: ReservedRegionKind, range: IOVARange) {
        self.group = group
        self.kind = kind
        self.range = range
    }
}

/// A live-update session.
public struct SessionRecord: Sendable, Hashable {
    /// Key of the record.
    public var id: SessionID
    /// 1 to 63 bytes.
    public var name: String
    /// Both as given; nothing is checked.
    public init(id: SessionID, name: String) {
        self.id = id
        self.name = name
    }
}
