import Hardware
import IOMMUModel
import PageTables

/// Root and context tables: the only code that changes a lookup entry.
extension LiveEngine {
    /// Where the context entry of `device` stands, or `nil` while its bus has no context table.
    func contextEntryAddress(_ device: MachineDevice) -> PhysicalAddress? {
        guard let table = unitTable[device.unit]?.contextTables[device.requester.bus] else { return nil }
        return VTDLookupIndex.contextEntry(device.requester.rid, in: table)
    }

    /// The context entry at `address`, or `nil` when its page is not in memory.
    func contextEntry(at address: PhysicalAddress) -> VTDContextEntry? {
        guard let low = machine.memory.word(at: address), let high = machine.memory.word(at: address.advanced(8))
        else { return nil }
        return VTDContextEntry(low: low, high: high)
    }

    /// Writes an entry that nothing uses yet: word 1 first, then word 0 with the present bit.
    private func publish(_ entry: VTDContextEntry, at address: PhysicalAddress) {
        let done =
            machine.memory.setWord(entry.high, at: address.advanced(8))
            && machine.memory.setWord(entry.low, at: address)
        precondition(done, "a lookup table of the engine is in memory")
    }

    /// Takes an entry out of use: word 0 with the present bit first, then word 1.
    func withdrawEntry(at address: PhysicalAddress) {
        let done =
            machine.memory.setWord(0, at: address) && machine.memory.setWord(0, at: address.advanced(8))
        precondition(done, "a lookup table of the engine is in memory")
    }

    /// Puts back both words of an entry as they were read before, word 1 first.
    func restoreEntry(_ entry: VTDContextEntry, at address: PhysicalAddress) { publish(entry, at: address) }

    /// Invalidates what the caches may hold of `device`'s entry: the context cache first, then the IOTLB by tag
    /// (VT-d 6.5.3.3: an IOTLB invalidation must follow that of the context cache).
    func invalidate(_ device: MachineDevice, oldTag: UInt32?) {
        guard let unit = machine.unit(device.unit) else { return }
        unit.invalidateContext(device.requester)
        if let oldTag { unit.invalidate(tag: oldTag) }
    }

    /// What `domain`'s entry has to say on `unit`; `nil` for the blocked domain.
    ///
    /// - Throws: `EINVAL` when the unit cannot walk the domain's tables, `EOPNOTSUPP` when it has no pass-through,
    ///   `ENOSPC` when it has no tag left.
    mutating func wantedEntry(_ domain: DomainID, on unit: UnitHardware) throws(Errno) -> VTDContextEntry? {
        guard let record = domainTable[domain] else { throw .ENOENT }
        switch record.kind {
        case .blocked: return nil
        case .nested: throw .EOPNOTSUPP
        case .identity:
            guard unit.registers.extendedCapability.passThrough,
                let width = VTDAddressWidth.allCases.last(where: unit.registers.capability.supports)
            else { throw .EOPNOTSUPP }
            return VTDContextEntry(passThroughWith: width, domainID: UInt16(try cacheTag(of: domain, on: unit.id)))
        case .paging:
            guard let table = record.table, unit.canWalk(table.configuration),
                let width = VTDAddressWidth(topLevel: table.configuration.topLevel)
            else { throw .EINVAL }
            return VTDContextEntry(
                root: table.root, width: width, domainID: UInt16(try cacheTag(of: domain, on: unit.id)))
        }
    }

    /// The domain's tag on `unit`, allocated when it has none there yet.
    mutating func cacheTag(of domain: DomainID, on unit: UnitID) throws(Errno) -> UInt32 {
        if let tag = domainTable[domain]?.cacheTag(on: unit) { return tag }
        guard let tag = try unitTable[unit]?.tags.allocate() else { throw .ENODEV }
        unitTable[unit]!.tagOwners[tag] = domain
        domainTable[domain]?.cacheTags.append(.init(unit: unit, cacheTag: tag))
        domainTable[domain]?.cacheTags.sort()
        return tag
    }

    /// Makes the hardware translate `device`'s untagged requests by `domain`: one change of its context entry, then the
    /// invalidations that the old one needs. A present entry is exchanged as a whole (a driver uses one 128-bit store),
    /// so that there is no instant without a domain. On failure nothing has changed.
    mutating func pointEntry(of device: MachineDevice, at domain: DomainID) throws(Errno) -> PhysicalAddress? {
        guard let unit = machine.unit(device.unit) else { throw .ENODEV }
        let wanted = try wantedEntry(domain, on: unit)
        guard let wanted else {
            guard let address = contextEntryAddress(device), let old = contextEntry(at: address) else { return nil }
            if !old.isZero {
                withdrawEntry(at: address)
                invalidate(device, oldTag: old.isPresent ? UInt32(old.domainID) : nil)
            }
            return dropContextTableIfEmpty(unit: device.unit, bus: device.requester.bus) ? nil : address
        }
        let address = try contextTableEntry(device)
        guard let old = contextEntry(at: address) else { throw .EFAULT }
        publish(wanted, at: address)
        if old.isPresent { invalidate(device, oldTag: UInt32(old.domainID)) }
        return address
    }

    /// Where the context entry of `device` stands, after making its bus a context table if it has none.
    private mutating func contextTableEntry(_ device: MachineDevice) throws(Errno) -> PhysicalAddress {
        if let address = contextEntryAddress(device) { return address }
        guard let root = unitTable[device.unit]?.rootTable,
            let slot = VTDLookupIndex.rootEntry(device.requester.rid, in: root)
        else { throw .ENODEV }
        guard let frame = arena.allocate(memory: machine.memory.view) else { throw .ENOMEM }
        let entry = VTDRootEntry(contextTable: frame)
        guard machine.memory.setWord(entry.high, at: slot.advanced(8)), machine.memory.setWord(entry.low, at: slot)
        else {
            arena.free(frame)
            throw .EFAULT
        }
        unitTable[device.unit]!.contextTables[device.requester.bus] = frame
        guard let address = contextEntryAddress(device) else { throw .EFAULT }
        return address
    }

    /// Takes the context table of a bus out of the root table and frees it once no entry is left in it.
    mutating func dropContextTableIfEmpty(unit: UnitID, bus: UInt8) -> Bool {
        guard let state = unitTable[unit], let table = state.contextTables[bus],
            let words = machine.memory.page(at: table), !(0..<512).contains(where: { words[$0] != 0 }),
            let slot = VTDLookupIndex.rootEntry(UInt16(bus) << 8, in: state.rootTable)
        else { return false }
        // A damaged root table may name one context table for two buses.
        let shared = state.contextTables.contains { $0.key != bus && $0.value == table }
        withdrawEntry(at: slot)
        machine.unit(unit)?.invalidateAll()
        unitTable[unit]!.contextTables[bus] = nil
        for key in attachmentTable.keys where key.requester.bus == bus && key.pasid == nil {
            guard machine.device(key.requester)?.unit == unit else { continue }
            attachmentTable[key]!.entryAddress = nil
        }
        if !shared { arena.free(table) }
        return true
    }
}

extension UnitHardware {
    /// True when this unit's walks understand tables of `configuration` as they were built.
    func canWalk(_ configuration: PageTableConfiguration) -> Bool {
        guard let width = VTDAddressWidth(topLevel: configuration.topLevel),
            let own = hardware.configuration(width: width)
        else { return false }
        return configuration.addressBits <= own.addressBits
            && configuration.hostAddressWidth <= own.hostAddressWidth
            && (!configuration.supports2M || own.supports2M) && (!configuration.supports1G || own.supports1G)
            && (!configuration.snoopControl || own.snoopControl)
    }

    /// The smallest supported shape for input addresses of `addressBits` bits; `nil` bits: the largest supported.
    func tableConfiguration(addressBits: Int?) -> PageTableConfiguration? {
        let shapes = VTDAddressWidth.allCases.compactMap(hardware.configuration(width:))
        guard let addressBits else { return shapes.last }
        return shapes.first { $0.addressBits >= addressBits }
    }
}

extension PhysicalAddress {
    /// The address `bytes` on, for places inside one table page.
    func advanced(_ bytes: UInt64) -> PhysicalAddress { PhysicalAddress(rawValue &+ bytes) }
}
