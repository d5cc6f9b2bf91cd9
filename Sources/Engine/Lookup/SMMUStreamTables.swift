import Hardware
import IOMMUModel
import PageTables

/// An SMMUv3's stream table of two levels, 64 entries in each array of the second (IHI 0070 3.3.1, 5.1, 5.2).
///
/// A descriptor leads to an array while one of its streams has an entry; the others in it are aborted.
///
/// Not modelled: the instant in which an entry is not valid. No store is as wide as an entry: a driver that gives a stream
/// other tables under another VMID makes it invalid in between, and its transactions fault there.
struct SMMUStreamTables: LookupTables {
    private let unit: UnitHardware
    private let words: LookupMemory
    /// StreamIDs are requester ids.
    private static let streamBits: UInt64 = 16
    /// An array of 64 entries is a page.
    private static let split: UInt64 = 6

    init(_ unit: UnitHardware, memory: MemoryView) {
        self.unit = unit
        words = LookupMemory(unit, memory: memory)
    }

    private var hardware: SMMUUnitHardware {
        guard case .smmu(let hardware) = unit.hardware else { preconditionFailure("an SMMUv3") }
        return hardware
    }

    func setUp(devices: [MachineDevice], arena: inout TableArena) throws(Errno) {
        // 8 KiB of descriptors, aligned to their size: of three pages in a row two are.
        guard let first = arena.allocate(contiguous: 3, memory: words.memory) else { throw .ENOMEM }
        let isAligned = first.isAligned(toLog2: 13)
        arena.free(isAligned ? first.advanced(0x2000) : first)
        let table = isAligned ? first : first.advanced(0x1000)
        var hardware = hardware
        hardware.registers.streamTableBase = table.rawValue
        hardware.registers.streamTableConfig = Self.streamBits | Self.split << 6 | 1 << 16
        hardware.registers.control = 1
        unit.hardware = .smmu(hardware)
    }

    func entryAddress(_ device: MachineDevice, _ pasid: PASID?) -> PhysicalAddress? {
        guard pasid == nil, case .entry(_, let address) = hardware.find(device.requester.rid, memory: words.memory)
        else { return nil }
        return address
    }

    private func entry(_ entry: LookupEntry) throws(Errno) -> SMMUStreamTableEntry {
        let vmid = UInt16(truncatingIfNeeded: entry.tag)
        switch entry.path {
        case .passThrough: return SMMUStreamTableEntry(bypassWith: vmid)
        case .single(let stage):
            guard stage.configuration.format == .armv8Stage2, unit.canWalk(stage),
                let made = SMMUStreamTableEntry(
                    stage2: stage, vmid: vmid, setsAccessFlag: stage.configuration.accessedDirty)
            else { throw .EINVAL }
            return made
        case .nested: throw .EOPNOTSUPP
        }
    }

    func install(
        _ entry: LookupEntry, for device: MachineDevice, _ pasid: PASID?, arena: inout TableArena
    ) throws(Errno) -> PhysicalAddress {
        guard pasid == nil else { throw .EOPNOTSUPP }
        let wanted = try self.entry(entry)
        if let address = entryAddress(device, nil) {
            words.publish(wanted.words, at: address)
            return address
        }
        // The descriptor has no array, or not one that reaches so far.
        let registers = hardware.registers
        let rid = device.requester.rid
        guard registers.isTwoLevel, Int(rid) >> registers.streamBits == 0 else { throw .EINVAL }
        let place = hardware.descriptorAddress(Int(rid) >> registers.split)
        guard let word = words.memory.word(at: place) else { throw .EFAULT }
        guard word == 0, registers.split == Int(Self.split) else { throw .EINVAL }
        guard let array = arena.allocate(memory: words.memory) else { throw .ENOMEM }
        for index in 0..<64 as Range<UInt64> {
            words.publish(SMMUStreamTableEntry.aborting.words, at: array.advanced(index * 64))
        }
        words.publish([SMMUStreamTableDescriptor(array: array, entriesLog2: Int(Self.split)).rawValue], at: place)
        let address = array.advanced(UInt64(rid) & 63 * 64)
        words.publish(wanted.words, at: address)
        return address
    }

    func clear(_ device: MachineDevice, _ pasid: PASID?, arena: inout TableArena) -> PhysicalAddress? {
        guard let address = entryAddress(device, pasid) else { return nil }
        words.publish(SMMUStreamTableEntry.aborting.words, at: address)
        let registers = hardware.registers
        let isGone = registers.isTwoLevel && dropIfUnused(Int(device.requester.rid) >> registers.split, arena: &arena)
        return isGone ? nil : address
    }

    func deviceEntry(_ device: MachineDevice) -> DeviceEntry? {
        entryAddress(device, nil).flatMap { deviceEntry(device.requester, at: $0) }
    }

    /// The entry at `address` unless it is empty, or aborts.
    private func deviceEntry(_ requester: RequesterID, at address: PhysicalAddress) -> DeviceEntry? {
        guard let found = words.words(SMMUStreamTableEntry.wordCount, at: address), found.contains(where: { $0 != 0 }),
            !SMMUStreamTableEntry(word0: found[0]).isAborting
        else { return nil }
        return DeviceEntry(requester: requester, address: address, words: found)
    }

    func deviceEntries() -> [DeviceEntry] {
        // Entries that are not valid are none of the listing's: every array is looked through.
        let registers = hardware.registers
        let arrays = registers.isTwoLevel ? min(registers.descriptorCount, 1 << (16 - registers.split)) : 1
        let perArray = 1 << (registers.isTwoLevel ? registers.split : min(registers.streamBits, 16))
        return (0..<arrays).flatMap { array -> [DeviceEntry] in
            if registers.isTwoLevel, words.memory.word(at: hardware.descriptorAddress(array)) ?? 0 == 0 { return [] }
            return (array * perArray..<(array + 1) * perArray).compactMap { number in
                let rid = UInt16(number)
                guard case .entry(_, let address) = hardware.find(rid, memory: words.memory) else { return nil }
                return deviceEntry(RequesterID(segment: unit.segment, rid: rid), at: address)
            }
        }
    }

    func block(_ entry: DeviceEntry) { words.publish(SMMUStreamTableEntry.aborting.words, at: entry.address) }

    var holdsRoot: Bool { false }

    func blockAll() { preconditionFailure("an SMMUv3 is told to abort by its registers") }

    func dropLeftovers(arena: inout TableArena) {
        let registers = hardware.registers
        guard registers.isTwoLevel else { return }
        for index in 0..<min(registers.descriptorCount, 1 << (16 - registers.split)) {
            dropIfUnused(index, arena: &arena)
        }
    }

    /// Takes out a descriptor that leads to no array in memory, or to one without an entry, which is freed.
    ///
    /// - Returns: whether there is none any more.
    @discardableResult
    private func dropIfUnused(_ index: Int, arena: inout TableArena) -> Bool {
        let split = hardware.registers.split
        let place = hardware.descriptorAddress(index)
        guard let word = words.memory.word(at: place), word != 0 else { return true }
        let descriptor = SMMUStreamTableDescriptor(rawValue: word)
        let count = descriptor.entryCount(split: split)
        let array = descriptor.array(split: split)
        let pages = (0..<max(count / 64, 1)).map { array.pageBase.advanced(UInt64($0) << 12) }
        guard count > 0, pages.allSatisfy({ words.memory.page(at: $0) != nil }) else {
            words.withdraw(1, at: place)
            return true
        }
        // One of less than a page may share it.
        guard count >= 64, pages.allSatisfy(isUnused) else { return false }
        words.withdraw(1, at: place)
        let reached = Set(unit.hardware.listing(memory: words.memory).pages.map(\.address))
        for page in pages where !reached.contains(page) { arena.free(page) }
        return true
    }

    /// True when every entry of the page is zero, or aborts.
    private func isUnused(_ page: PhysicalAddress) -> Bool {
        (0..<64 as Range<UInt64>).allSatisfy { index in
            deviceEntry(RequesterID(segment: 0, rid: 0), at: page.advanced(index * 64)) == nil
        }
    }
}
