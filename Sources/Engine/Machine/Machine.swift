import Glibc
import IOMMUModel
import PageTables

/// What survives a kexec: physical memory, the units with their registers and caches, and the device topology.
///
/// It works with no engine alive: during the jump devices go on doing DMA through the tables that lie in its memory.
public final class Machine {
    /// What the machine really holds; an address outside it is unknown, not zero.
    public let memory: PhysicalMemory
    /// What tables and buffers may lie in; sorted.
    public let ramRanges: [PhysicalRange]
    /// Frames that an engine takes new table pages from; whole pages of ``memory``, sorted.
    public let arenaRanges: [PhysicalRange]
    /// The page whose first 16 bytes are the handover nonce (the simulated KHO area).
    public let handoverPage: PhysicalAddress
    /// Sorted by id.
    public let units: [UnitHardware]
    /// Sorted by requester id.
    public private(set) var devices: [MachineDevice]
    /// Counts the changes of what a device does: bus mastering, power, interrupts. As long as it stands still, so do they.
    package private(set) var deviceChanges: UInt64 = 0
    /// Sorted by group, then range.
    public let reservedRegions: [ReservedRegion]

    /// Index in ``units`` of each device's unit.
    let unitOfDevice: [Int]

    /// Finds a device, and what its accesses go through, by requester id.
    @usableFromInline let deviceTable: DeviceTable
    private var unitIndex: [UnitID: Int] = [:]
    private var regionIndex: [GroupID: [ReservedRegion]] = [:]

    /// Takes over `memory` as it is: tables and registers of an earlier engine or of an imported machine included.
    public init(
        memory: PhysicalMemory, ramRanges: [PhysicalRange], arenaRanges: [PhysicalRange],
        handoverPage: PhysicalAddress, units: [UnitDescription], devices: [MachineDevice],
        reservedRegions: [ReservedRegion] = []
    ) throws(MachineError) {
        self.memory = memory
        self.ramRanges = ramRanges.sorted()
        self.arenaRanges = arenaRanges.sorted()
        self.handoverPage = handoverPage
        var hardware: [UnitHardware] = []
        for unit in units.sorted(by: { $0.id < $1.id }) { hardware.append(try UnitHardware(unit)) }
        self.units = hardware
        self.devices = devices.sorted { $0.requester < $1.requester }
        self.reservedRegions = reservedRegions.sorted { ($0.group, $0.range) < ($1.group, $1.range) }
        for (index, unit) in self.units.enumerated() {
            guard unitIndex.updateValue(index, forKey: unit.id) == nil else { throw .duplicateUnit(unit.id) }
        }
        var unitOfDevice: [Int] = []
        for device in self.devices {
            guard let unit = unitIndex[device.unit] else { throw .unknownUnit(device.unit, of: device.requester) }
            guard self.units[unit].segment == device.requester.segment else {
                throw .otherSegment(device.unit, of: device.requester)
            }
            unitOfDevice.append(unit)
        }
        self.unitOfDevice = unitOfDevice
        deviceTable = try DeviceTable(self.devices)
        for unit in self.units { unit.contextCache.places = deviceTable.places(ofSegment: unit.segment) }
        for (device, unit) in zip(self.devices, unitOfDevice) where device.isOnBus {
            deviceTable.set(device.requester, caches: self.units[unit].caches)
        }
        regionIndex = Dictionary(grouping: self.reservedRegions, by: \.group)
        let groups = Set(devices.map(\.group))
        for region in self.reservedRegions where !groups.contains(region.group) { throw .unknownGroup(region.group) }
        // All of the page that the address lies in: the check below refuses one that is not its first byte.
        let lastByte = PhysicalAddress(handoverPage.rawValue | 0xfff)
        var taken: [PhysicalRange] = []
        for range in [PhysicalRange(first: handoverPage, last: lastByte)!] + self.arenaRanges {
            guard range.isAligned(toLog2: 12) else { throw .unaligned(range) }
            for page in range.first.page...range.last.page where memory.page(at: PhysicalAddress(page: page)) == nil {
                throw .notInMemory(range)
            }
            if let other = taken.first(where: { $0.overlaps(range) }) { throw .overlap(other, range) }
            taken.append(range)
        }
    }

    /// Empties the units' fault recording registers, unread.
    package func forgetFaults() {
        for unit in units { _ = unit.faultLog.drain() }
    }

    /// Calls `body` after each change of a lookup entry, before any invalidation of what caches hold; `nil`: no more. What
    /// devices do at that instant must not depend on which of both they see. `body` must not keep the machine alive.
    package func onEntryChange(_ body: (() -> Void)?) {
        for unit in units { unit.entryChanged = body }
    }

    /// The unit `id`, or `nil`.
    public func unit(_ id: UnitID) -> UnitHardware? { unitIndex[id].map { units[$0] } }

    /// The device `requester`, or `nil`.
    public func device(_ requester: RequesterID) -> MachineDevice? {
        deviceTable.index(of: requester).map { devices[$0] }
    }

    /// What one group reserves, by range.
    public func reservedRegions(of group: GroupID) -> [ReservedRegion] { regionIndex[group] ?? [] }

    /// Switches a device's bus mastering: without it the device puts nothing on the bus.
    public func setBusMaster(_ enabled: Bool, of requester: RequesterID) {
        change(requester) { $0.busMaster = enabled }
    }

    /// Changes what a device does, and with it whether its accesses get anywhere.
    func change(_ requester: RequesterID, _ body: (inout MachineDevice) -> Void) {
        guard let index = deviceTable.index(of: requester) else { return }
        body(&devices[index])
        deviceChanges &+= 1
        deviceTable.set(requester, caches: devices[index].isOnBus ? units[unitOfDevice[index]].caches : nil)
    }

    /// Names the driver that is bound to a device; empty: none.
    func setDriver(_ name: String, of requester: RequesterID) { change(requester) { $0.driver = name } }

    /// The 16 bytes at the start of the handover page; `nil` when they are all zero: nothing was handed over here.
    public var nonce: [UInt8]? {
        guard let page = memory.page(at: handoverPage) else { return nil }
        let bytes = Array(UnsafeRawBufferPointer(start: page, count: 16))
        return bytes.contains { $0 != 0 } ? bytes : nil
    }

    /// Puts a nonce of 16 bytes into the surviving memory; `nil` wipes it.
    public func setNonce(_ nonce: [UInt8]?) {
        precondition(nonce.map { $0.count == 16 } ?? true, "a nonce has 16 bytes")
        guard let page = memory.page(at: handoverPage) else { return }
        let bytes = UnsafeMutableRawBufferPointer(start: page, count: 16)
        for index in 0..<16 { bytes[index] = nonce?[index] ?? 0 }
    }
}
