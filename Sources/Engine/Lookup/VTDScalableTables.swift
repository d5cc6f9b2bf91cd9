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

    init(_ unit: UnitHardware, memory: MemoryView) {
        self.unit = unit
        words = LookupMemory(memory: memory)
    }

    private var hardware: VTDUnitHardware {
        guard case .vtd(let hardware) = unit.hardware else { preconditionFailure("a VT-d unit") }
        return hardware
    }

    func setUp(devices: [MachineDevice], arena: inout TableArena) throws(Errno) {
        guard let root = arena.allocate(memory: words.memory) else { throw .ENOMEM }
        var hardware = hardware
        hardware.registers.rootTableAddress = VTDRootTableAddress(mode: .scalable, rootTable: root)
        hardware.registers.globalStatus = VTDGlobalStatus(translationEnabled: true)
        unit.hardware = .vtd(hardware)
    }

    // MARK: The way down

    /// Half a root entry: where its word stands, and the context table that it leads to, if it leads to one in memory.
    private struct Half {
        var address: PhysicalAddress
        var word: UInt64
        var table: PhysicalAddress?
    }

    private func half(_ rid: UInt16) -> Half? {
        let isUpper = VTDLookupIndex.usesUpperScalableHalf(rid)
        guard
            let entry = VTDLookupIndex.rootEntry(rid, in: hardware.registers.rootTableAddress.rootTable),
            let word = words.memory.word(at: entry.advanced(isUpper ? 8 : 0))
        else { return nil }
        let half = VTDScalableRootEntry.Half(word)
        let isUsable =
            half.isPresent && !half.hasViolation(hostAddressWidth: unit.hostAddressWidth)
            && words.memory.page(at: half.contextTable) != nil
        return Half(address: entry.advanced(isUpper ? 8 : 0), word: word, table: isUsable ? half.contextTable : nil)
    }

    /// The context entry of `rid`, present or not; `nil` while there is no table for it.
    private func context(_ rid: UInt16) -> (address: PhysicalAddress, entry: VTDScalableContextEntry)? {
        guard let table = half(rid)?.table, let address = VTDLookupIndex.scalableContextEntry(rid, in: table),
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
        let capability = hardware.registers.extendedCapability
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
            let contextTable: PhysicalAddress
            if let known = half(rid)?.table {
                contextTable = known
            } else {
                contextTable = try newFrame(arena: &arena, &made)
            }
            words.publish(wanted.words, at: address)
            if slot.table == nil { words.publish([VTDPASIDDirectoryEntry(table: table).word], at: slot.address) }
            guard known == nil else { return address }
            guard let place = VTDLookupIndex.scalableContextEntry(rid, in: contextTable), let half = half(rid) else {
                throw .EFAULT
            }
            words.publish(context.words, at: place)
            if half.table == nil {
                words.publish([VTDScalableRootEntry.Half(contextTable: contextTable).word], at: half.address)
            }
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
            pasidEnabled: device.pasidBits > 0 && hardware.registers.extendedCapability.pasid)
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
        free([table], arena: &arena)
        let pages = (0..<Self.directoryPages(context.directorySizeCode)).map {
            context.directory.advanced(UInt64($0) << 12)
        }
        guard pages.allSatisfy({ words.isEmpty(page: $0) }) else { return nil }
        words.withdraw(4, at: contextAddress)
        free(pages, arena: &arena)
        dropIfEmpty(rid, arena: &arena)
        return nil
    }

    /// Frees pages that nothing leads to any more: a damaged structure may name one page twice.
    private func free(_ pages: [PhysicalAddress], arena: inout TableArena) {
        let reached = Set(unit.hardware.listing(memory: words.memory).pages.map(\.address))
        for page in pages where !reached.contains(page) { arena.free(page) }
    }

    /// Takes the context table of half a bus out of the root table and frees it once no entry is left in it.
    private func dropIfEmpty(_ rid: UInt16, arena: inout TableArena) {
        guard let half = half(rid), let table = half.table, words.isEmpty(page: table) else { return }
        words.withdraw(1, at: half.address)
        free([table], arena: &arena)
    }

    // MARK: Whole devices

    func deviceEntry(_ device: MachineDevice) -> DeviceEntry? {
        guard let (address, entry) = context(device.requester.rid), !entry.isZero else { return nil }
        return DeviceEntry(requester: device.requester, address: address, words: entry.words)
    }

    func deviceEntries() -> [DeviceEntry] {
        var entries: [DeviceEntry] = []
        for first in stride(from: 0, through: 0xff80, by: 128) {
            guard half(UInt16(first))?.table != nil else { continue }
            for rid in UInt16(first)...UInt16(first + 127) {
                guard let (address, entry) = context(rid), !entry.isZero else { continue }
                let requester = RequesterID(segment: unit.segment, rid: rid)
                entries.append(DeviceEntry(requester: requester, address: address, words: entry.words))
            }
        }
        return entries
    }

    func block(_ entry: DeviceEntry) { words.withdraw(entry.words.count, at: entry.address) }

    func dropLeftovers(arena: inout TableArena) {
        for first in stride(from: 0, through: 0xff80, by: 128) {
            guard let half = half(UInt16(first)) else { continue }
            if half.table == nil {
                if half.word != 0 { words.withdraw(1, at: half.address) }
            } else {
                dropIfEmpty(UInt16(first), arena: &arena)
            }
        }
    }
}
