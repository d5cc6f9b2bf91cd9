import IOMMUModel

/// A requester id of the machine, with the PCI function behind it if there is one.
public struct MachineDevice: Sendable, Hashable {
    /// Unique in a machine.
    public var requester: RequesterID
    /// The unit that its requests go through.
    public var unit: UnitID
    /// Devices of one group cannot be told apart: they are attached together.
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
    /// ATS (device-TLB) enabled. The engine has no model of device-TLBs: such a device refuses to be preserved.
    public var atsEnabled: Bool
    /// PRI (page requests) enabled.
    public var priEnabled: Bool
    /// The device puts its accesses on the bus.
    public var busMaster: Bool
    /// Width of the PASIDs that the function can send (PCIe 7.8.9.2), 1 to 20; 0: it has no PASID capability.
    public var pasidBits: UInt8
    /// A function-level (or better) reset is possible: after it the device is known to be quiet.
    public var canReset: Bool
    /// In D0; in D3 it puts nothing on the bus.
    public var isPowered = true
    /// Its interrupts are on: they would come to a kernel that is gone, so a freeze refuses it.
    public var interruptsEnabled = false

    /// What it puts on the bus gets there.
    var isOnBus: Bool { busMaster && isPowered }

    /// All as given; nothing is checked.
    public init(
        requester: RequesterID, unit: UnitID, group: GroupID, hasFunction: Bool = true, vendorID: UInt16 = 0,
        deviceID: UInt16 = 0, classCode: UInt32 = 0, driver: String = "", atsEnabled: Bool = false,
        priEnabled: Bool = false, busMaster: Bool = true, pasidBits: UInt8 = 0, canReset: Bool = true
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
        self.busMaster = busMaster
        self.pasidBits = pasidBits
        self.canReset = canReset
    }
}

/// A range of a group's I/O address space that firmware or hardware reserves.
public struct ReservedRegion: Sendable, Hashable {
    /// The group that it binds; it must have a device.
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
