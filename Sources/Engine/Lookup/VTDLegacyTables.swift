import Hardware
import IOMMUModel
import PageTables

/// VT-d's root and legacy-mode context tables (VT-d 9.1, 9.3).
struct VTDLegacyTables: LookupTables {
    private let unit: UnitHardware
    private let words: LookupMemory

    init(_ unit: UnitHardware, memory: MemoryView) {
        self.unit = unit
        words = LookupMemory(memory: memory)
    }

    private var hardware: VTDUnitHardware {
        guard case .vtd(let hardware) = unit.hardware else { preconditionFailure("a VT-d unit") }
        return hardware
    }

    private var rootTable: PhysicalAddress { hardware.registers.rootTableAddress.rootTable }

    func setUp(devices: [MachineDevice], arena: inout TableArena) throws(Errno) {
        guard let root = arena.allocate(memory: words.memory) else { throw .ENOMEM }
        var hardware = hardware
        hardware.registers.rootTableAddress = VTDRootTableAddress(mode: .legacy, rootTable: root)
        hardware.registers.globalStatus = VTDGlobalStatus(translationEnabled: true)
        unit.hardware = .vtd(hardware)
    }

    /// The root entry of a bus: where it stands, and the context table that it leads to, if it leads to one in memory.
    private func root(_ bus: UInt8) -> (address: PhysicalAddress, words: [UInt64], table: PhysicalAddress?)? {
        guard let address = VTDLookupIndex.rootEntry(UInt16(bus) << 8, in: rootTable),
            let found = words.words(2, at: address)
        else { return nil }
        let entry = VTDRootEntry(low: found[0], high: found[1])
        guard entry.isPresent, !entry.hasViolation(hostAddressWidth: unit.hostAddressWidth),
            words.memory.page(at: entry.contextTable) != nil
        else { return (address, found, nil) }
        return (address, found, entry.contextTable)
    }

    func entryAddress(_ device: MachineDevice, _ pasid: PASID?) -> PhysicalAddress? {
        guard pasid == nil, let table = root(device.requester.bus)?.table else { return nil }
        return VTDLookupIndex.contextEntry(device.requester.rid, in: table)
    }

    private func contextEntry(_ entry: LookupEntry) throws(Errno) -> VTDContextEntry {
        let registers = hardware.registers
        switch entry.path {
        case .passThrough:
            guard registers.extendedCapability.passThrough,
                let width = VTDAddressWidth.allCases.last(where: registers.capability.supports)
            else { throw .EOPNOTSUPP }
            return VTDContextEntry(passThroughWith: width, domainID: UInt16(entry.tag))
        case .single(let stage):
            guard stage.configuration.format == .vtdSecondStage, unit.canWalk(stage),
                let width = VTDAddressWidth(topLevel: stage.configuration.topLevel)
            else { throw .EINVAL }
            return VTDContextEntry(root: stage.root, width: width, domainID: UInt16(entry.tag))
        case .nested: throw .EOPNOTSUPP
        }
    }

    func install(
        _ entry: LookupEntry, for device: MachineDevice, _ pasid: PASID?, arena: inout TableArena
    ) throws(Errno) -> PhysicalAddress {
        guard pasid == nil else { throw .EOPNOTSUPP }
        let wanted = try contextEntry(entry)
        guard let slot = root(device.requester.bus) else { throw .EFAULT }
        let table: PhysicalAddress
        if let known = slot.table {
            table = known
        } else {
            guard let frame = arena.allocate(memory: words.memory) else { throw .ENOMEM }
            let entry = VTDRootEntry(contextTable: frame)
            words.publish([entry.low, entry.high], at: slot.address)
            table = frame
        }
        guard let address = VTDLookupIndex.contextEntry(device.requester.rid, in: table) else { throw .EFAULT }
        words.publish([wanted.low, wanted.high], at: address)
        return address
    }

    func clear(_ device: MachineDevice, _ pasid: PASID?, arena: inout TableArena) -> PhysicalAddress? {
        guard let address = entryAddress(device, pasid) else { return nil }
        words.withdraw(2, at: address)
        return dropIfEmpty(device.requester.bus, arena: &arena) ? nil : address
    }

    /// Takes the context table of a bus out of the root table and frees it once no entry is left in it.
    private func dropIfEmpty(_ bus: UInt8, arena: inout TableArena) -> Bool {
        guard let slot = root(bus), let table = slot.table, words.isEmpty(page: table) else { return false }
        words.withdraw(2, at: slot.address)
        if !unit.stillReaches(table, memory: words.memory) { arena.free(table) }
        return true
    }

    func deviceEntry(_ device: MachineDevice) -> DeviceEntry? {
        guard let address = entryAddress(device, nil), let found = words.words(2, at: address),
            found.contains(where: { $0 != 0 })
        else { return nil }
        return DeviceEntry(requester: device.requester, address: address, words: found)
    }

    func deviceEntries() -> [DeviceEntry] {
        var entries: [DeviceEntry] = []
        for bus in 0...UInt8.max {
            guard let table = root(bus)?.table, let page = words.memory.page(at: table) else { continue }
            for devfn in 0..<256 where page[devfn * 2] | page[devfn * 2 + 1] != 0 {
                entries.append(
                    DeviceEntry(
                        requester: RequesterID(segment: unit.segment, rid: UInt16(bus) << 8 | UInt16(devfn)),
                        address: table.advanced(UInt64(devfn) * VTDContextEntry.byteCount),
                        words: [page[devfn * 2], page[devfn * 2 + 1]]))
            }
        }
        return entries
    }

    func block(_ entry: DeviceEntry) { words.withdraw(entry.words.count, at: entry.address) }

    func dropLeftovers(arena: inout TableArena) {
        for bus in 0...UInt8.max {
            guard let slot = root(bus) else { continue }
            if slot.table == nil {
                if slot.words.contains(where: { $0 != 0 }) { words.withdraw(2, at: slot.address) }
            } else {
                _ = dropIfEmpty(bus, arena: &arena)
            }
        }
    }
}
