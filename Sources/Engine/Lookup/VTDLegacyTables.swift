import Hardware
import IOMMUModel
import PageTables

/// VT-d's root and legacy-mode context tables (VT-d 9.1, 9.3).
struct VTDLegacyTables: LookupTables {
    private let unit: UnitHardware
    private let words: LookupMemory
    private let roots: VTDRootTable

    init(_ unit: UnitHardware, memory: MemoryView) {
        self.unit = unit
        words = LookupMemory(unit, memory: memory)
        roots = VTDRootTable(unit, words: words, mode: .legacy)
    }

    func setUp(devices: [MachineDevice], arena: inout TableArena) throws(Errno) { try roots.setUp(arena: &arena) }

    func entryAddress(_ device: MachineDevice, _ pasid: PASID?) -> PhysicalAddress? {
        guard pasid == nil, let table = roots.slot(device.requester.rid)?.table else { return nil }
        return VTDLookupIndex.contextEntry(device.requester.rid, in: table)
    }

    private func contextEntry(_ entry: LookupEntry) throws(Errno) -> VTDContextEntry {
        let registers = roots.hardware.registers
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
        guard let slot = roots.slot(device.requester.rid) else { throw .EFAULT }
        let table: PhysicalAddress
        if let known = slot.table {
            table = known
        } else {
            guard let frame = arena.allocate(memory: words.memory) else { throw .ENOMEM }
            roots.publish(frame, in: slot)
            table = frame
        }
        guard let address = VTDLookupIndex.contextEntry(device.requester.rid, in: table) else { throw .EFAULT }
        words.publish([wanted.low, wanted.high], at: address)
        return address
    }

    func clear(_ device: MachineDevice, _ pasid: PASID?, arena: inout TableArena) -> PhysicalAddress? {
        guard let address = entryAddress(device, pasid) else { return nil }
        words.withdraw(2, at: address)
        return roots.dropIfEmpty(device.requester.rid, arena: &arena) ? nil : address
    }

    func deviceEntry(_ device: MachineDevice) -> DeviceEntry? {
        guard let address = entryAddress(device, nil), let found = words.words(2, at: address),
            found.contains(where: { $0 != 0 })
        else { return nil }
        return DeviceEntry(requester: device.requester, address: address, words: found)
    }

    func deviceEntries() -> [DeviceEntry] {
        var entries: [DeviceEntry] = []
        for first in roots.firstRIDs {
            guard let table = roots.slot(first)?.table, let page = words.memory.page(at: table) else { continue }
            for devfn in 0..<256 where page[devfn * 2] | page[devfn * 2 + 1] != 0 {
                entries.append(
                    DeviceEntry(
                        requester: RequesterID(segment: unit.segment, rid: first | UInt16(devfn)),
                        address: table.advanced(UInt64(devfn) * VTDContextEntry.byteCount),
                        words: [page[devfn * 2], page[devfn * 2 + 1]]))
            }
        }
        return entries
    }

    func block(_ entry: DeviceEntry) { words.withdraw(entry.words.count, at: entry.address) }

    var holdsRoot: Bool { roots.isInMemory }

    func blockAll() { roots.clear() }

    func dropLeftovers(arena: inout TableArena) { roots.dropLeftovers(arena: &arena) }
}
