import Hardware
import IOMMUModel
import PageTables

/// VT-d's root table, scalable-mode context tables, PASID directories and PASID tables (VT-d 9.2, 9.4 to 9.6).
///
/// A device's directory is made as large as its PASIDs are wide, with its first entry; it goes with the last. Untagged
/// requests are looked up under PASID 0 (RID_PASID).
struct VTDScalableTables: LookupTables {
    private let unit: UnitHardware
    private let words: LookupMemory
    private let roots: VTDRootTable

    init(_ unit: UnitHardware, memory: MemoryView) {
        self.unit = unit
        words = LookupMemory(unit, memory: memory)
        roots = VTDRootTable(unit, words: words, mode: .scalable)
    }

    func setUp(devices: [MachineDevice], arena: inout TableArena) throws(Errno) { try roots.setUp(arena: &arena) }

    // MARK: The way down

    /// The context entry of `rid`, present or not; `nil` while there is no table for it.
    private func context(_ rid: UInt16) -> (address: PhysicalAddress, entry: VTDScalableContextEntry)? {
        guard let table = roots.slot(rid)?.table, let address = VTDLookupIndex.scalableContextEntry(rid, in: table),
            let found = words.words(4, at: address)
        else { return nil }
        return (address, VTDScalableContextEntry(low: found[0], high: found[1], word2: found[2], word3: found[3]))
    }

    /// The directory entry for `pasid` below a present context entry.
    private func directory(
        _ context: VTDScalableContextEntry, _ pasid: PASID
    ) -> (address: PhysicalAddress, table: PhysicalAddress?)? {
        guard context.isPresent, context.reaches(pasid),
            let address = VTDLookupIndex.directoryEntry(pasid, in: context.directory),
            let word = words.memory.word(at: address)
        else { return nil }
        let entry = VTDPASIDDirectoryEntry(word)
        let isUsable =
            entry.isPresent && !entry.hasViolation(hostAddressWidth: unit.hostAddressWidth)
            && words.memory.page(at: entry.table) != nil
        return (address, isUsable ? entry.table : nil)
    }

    private func lookedUp(_ pasid: PASID?, _ context: VTDScalableContextEntry) -> PASID { pasid ?? context.ridPASID }

    func entryAddress(_ device: MachineDevice, _ pasid: PASID?) -> PhysicalAddress? {
        guard let context = context(device.requester.rid)?.entry,
            let table = directory(context, lookedUp(pasid, context))?.table
        else { return nil }
        return VTDLookupIndex.pasidEntry(lookedUp(pasid, context), in: table)
    }

    // MARK: Writing

    private func pasidEntry(_ entry: LookupEntry) throws(Errno) -> VTDPASIDEntry {
        let capability = roots.hardware.registers.extendedCapability
        var options: VTDPASIDEntry.Options = []
        if capability.walkSnoop { options.insert(.walkSnoop) }
        if unit.accessedDirty, capability.secondStageAccessedDirty { options.insert(.secondStageAccessedDirty) }
        let domain = UInt16(truncatingIfNeeded: entry.tag)
        func width(_ stage: TranslationStage) throws(Errno) -> VTDAddressWidth {
            guard stage.configuration.format == .vtdSecondStage, unit.canWalk(stage),
                let width = VTDAddressWidth(topLevel: stage.configuration.topLevel)
            else { throw .EINVAL }
            return width
        }
        switch entry.path {
        case .passThrough:
            guard capability.passThrough else { throw .EOPNOTSUPP }
            return VTDPASIDEntry(passThroughWith: domain)
        case .single(let stage) where stage.configuration.format == .x86_64:
            guard capability.firstStage, unit.canWalk(stage) else { throw .EINVAL }
            return VTDPASIDEntry(
                firstStage: stage.root, isFiveLevel: stage.configuration.topLevel == 4, domainID: domain,
                options: options.subtracting(.secondStageAccessedDirty).union(.executeDisable))
        case .single(let stage):
            guard capability.secondStage else { throw .EINVAL }
            return VTDPASIDEntry(
                secondStage: stage.root, width: try width(stage), domainID: domain, options: options)
        case .nested(let first, let second):
            guard capability.nested, unit.canWalk(first) else { throw .EINVAL }
            return VTDPASIDEntry(
                firstStage: first.root, isFiveLevel: first.configuration.topLevel == 4, over: second.root,
                width: try width(second), domainID: domain, options: options.union(.executeDisable))
        }
    }

    func install(
        _ entry: LookupEntry, for device: MachineDevice, _ pasid: PASID?, arena: inout TableArena
    ) throws(Errno) -> PhysicalAddress {
        let wanted = try pasidEntry(entry)
        let rid = device.requester.rid
        var made: [PhysicalAddress] = []
        do throws(Errno) {
            let known = context(rid).flatMap { $0.entry.isPresent ? $0 : nil }
            let context: VTDScalableContextEntry
            if let known { context = known.entry } else { context = try newContext(device, arena: &arena, &made) }
            let pasid = lookedUp(pasid, context)
            guard let slot = directory(context, pasid) else { throw .EINVAL }
            let table: PhysicalAddress
            if let known = slot.table { table = known } else { table = try newFrame(arena: &arena, &made) }
            guard let address = VTDLookupIndex.pasidEntry(pasid, in: table) else { throw .EFAULT }
            // From the leaves up: an entry is whole before anything leads to it.
            if known != nil, slot.table != nil {
                words.publish(wanted.words, at: address)
                return address
            }
            guard let root = roots.slot(rid) else { throw .EFAULT }
            let contextTable: PhysicalAddress
            if let known = root.table {
                contextTable = known
            } else {
                contextTable = try newFrame(arena: &arena, &made)
            }
            guard let place = VTDLookupIndex.scalableContextEntry(rid, in: contextTable) else { throw .EFAULT }
            words.publish(wanted.words, at: address)
            if slot.table == nil { words.publish([VTDPASIDDirectoryEntry(table: table).word], at: slot.address) }
            guard known == nil else { return address }
            words.publish(context.words, at: place)
            if root.table == nil { roots.publish(contextTable, in: root) }
            return address
        } catch {
            for frame in made { arena.free(frame) }
            throw error
        }
    }

    private func newFrame(arena: inout TableArena, _ made: inout [PhysicalAddress]) throws(Errno) -> PhysicalAddress {
        guard let frame = arena.allocate(memory: words.memory) else { throw .ENOMEM }
        made.append(frame)
        return frame
    }

    /// A context entry with a directory of its own, not yet in any table.
    private func newContext(
        _ device: MachineDevice, arena: inout TableArena, _ made: inout [PhysicalAddress]
    ) throws(Errno) -> VTDScalableContextEntry {
        // 2^(PDTS + 7) directory entries of 64 PASIDs each.
        let code = UInt8(max(0, Int(device.pasidBits) - 13))
        let pages = Self.directoryPages(code)
        guard let directory = arena.allocate(contiguous: pages, memory: words.memory) else { throw .ENOMEM }
        for page in 0..<pages { made.append(directory.advanced(UInt64(page) << 12)) }
        return VTDScalableContextEntry(
            directory: directory, directorySizeCode: code,
            pasidEnabled: device.pasidBits > 0 && roots.hardware.registers.extendedCapability.pasid)
    }

    private static func directoryPages(_ code: UInt8) -> Int { max(1, (128 << Int(code)) * 8 / 4096) }

    func clear(_ device: MachineDevice, _ pasid: PASID?, arena: inout TableArena) -> PhysicalAddress? {
        let rid = device.requester.rid
        guard let (contextAddress, context) = context(rid), context.isPresent else { return nil }
        let pasid = lookedUp(pasid, context)
        guard let slot = directory(context, pasid), let table = slot.table,
            let address = VTDLookupIndex.pasidEntry(pasid, in: table)
        else { return nil }
        words.withdraw(8, at: address)
        guard words.isEmpty(page: table) else { return address }
        words.withdraw(1, at: slot.address)
        roots.free([table], arena: &arena)
        let pages = (0..<Self.directoryPages(context.directorySizeCode)).map {
            context.directory.advanced(UInt64($0) << 12)
        }
        guard pages.allSatisfy({ words.isEmpty(page: $0) }) else { return nil }
        words.withdraw(4, at: contextAddress)
        roots.free(pages, arena: &arena)
        roots.dropIfEmpty(rid, arena: &arena)
        return nil
    }

    // MARK: Whole devices

    func deviceEntry(_ device: MachineDevice) -> DeviceEntry? {
        guard let (address, entry) = context(device.requester.rid), !entry.isZero else { return nil }
        return DeviceEntry(requester: device.requester, address: address, words: entry.words)
    }

    func deviceEntries() -> [DeviceEntry] {
        var entries: [DeviceEntry] = []
        for first in roots.firstRIDs where roots.slot(first)?.table != nil {
            for rid in first...first + 127 {
                guard let (address, entry) = context(rid), !entry.isZero else { continue }
                let requester = RequesterID(segment: unit.segment, rid: rid)
                entries.append(DeviceEntry(requester: requester, address: address, words: entry.words))
            }
        }
        return entries
    }

    func block(_ entry: DeviceEntry) { words.withdraw(entry.words.count, at: entry.address) }

    var holdsRoot: Bool { roots.isInMemory }

    func blockAll() { roots.clear() }

    func dropLeftovers(arena: inout TableArena) { roots.dropLeftovers(arena: &arena) }
}
