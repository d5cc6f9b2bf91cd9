import Hardware
import IOMMUModel
import PageTables

/// AMD's device table and GCR3 tables (AMD 48882 2.2.2, 2.2.6).
///
/// Every entry of the device table is valid: a requester that nothing is known of is blocked. A device with guest tables
/// has a GCR3 table of its own, as deep as its PASIDs are wide, in the host's memory (GCR3TRPMode is 0).
struct AMDDeviceTables: LookupTables {
    private let unit: UnitHardware
    private let words: LookupMemory

    init(_ unit: UnitHardware, memory: MemoryView) {
        self.unit = unit
        words = LookupMemory(unit, memory: memory)
    }

    private var hardware: AMDUnitHardware {
        guard case .amd(let hardware) = unit.hardware else { preconditionFailure("an AMD unit") }
        return hardware
    }

    func setUp(devices: [MachineDevice], arena: inout TableArena) throws(Errno) {
        let last = devices.map { Int($0.requester.rid) }.max() ?? 0
        let pages = last / AMDLookupIndex.entriesPerPage + 1
        guard let table = arena.allocate(contiguous: pages, memory: words.memory) else { throw .ENOMEM }
        for index in 0..<pages * AMDLookupIndex.entriesPerPage {
            words.publish(
                AMDDeviceTableEntry.blocked.words, at: table.advanced(AMDLookupIndex.deviceEntryOffset(UInt16(index))))
        }
        var hardware = hardware
        hardware.registers.deviceTableBase = AMDDeviceTableBase(
            table: PhysicalAddress(table.rawValue | encryption), pageCount: pages)
        hardware.registers.control = AMDControl(
            translationEnabled: true, guestTranslationEnabled: hardware.registers.features?.guestTranslation == true,
            guestAddressesGCR3: false)
        unit.hardware = .amd(hardware)
    }

    /// SME's bit, which every pointer to a table carries.
    private var encryption: UInt64 { unit.encryptionBit.map { 1 << UInt64($0) } ?? 0 }

    // MARK: The way down

    private func deviceEntryAddress(_ rid: UInt16) -> PhysicalAddress? {
        guard Int(rid) < hardware.registers.deviceTableBase.entryCount else { return nil }
        return hardware.registers.deviceTable.offset(by: AMDLookupIndex.deviceEntryOffset(rid))
    }

    private func entry(_ rid: UInt16) -> (address: PhysicalAddress, entry: AMDDeviceTableEntry)? {
        guard let address = deviceEntryAddress(rid), let found = words.words(4, at: address) else { return nil }
        return (address, AMDDeviceTableEntry(word0: found[0], word1: found[1], word2: found[2], word3: found[3]))
    }

    private func plain(_ address: PhysicalAddress) -> PhysicalAddress {
        PhysicalAddress(address.rawValue & ~encryption)
    }

    /// The GCR3 tables on the way to `pasid`, from the root, each with the address of its entry; fewer than the levels
    /// where one is missing.
    private func path(
        _ entry: AMDDeviceTableEntry, _ pasid: PASID
    ) -> [(level: Int, table: PhysicalAddress, entry: PhysicalAddress)] {
        var path: [(level: Int, table: PhysicalAddress, entry: PhysicalAddress)] = []
        guard entry.guestTranslation, !hasGuestsGCR3(entry) else { return path }
        var level = entry.guestLevelsCode + 1
        var table = plain(entry.gcr3Root)
        guard level <= 3, AMDLookupIndex.gcr3Reaches(pasid, levels: level) else { return path }
        while words.memory.page(at: table) != nil {
            let address = table.advanced(
                UInt64(AMDLookupIndex.gcr3(pasid, level: level)) * AMDGCR3Entry.byteCount)
            path.append((level, table, address))
            guard level > 1, let word = words.memory.word(at: address) else { break }
            let next = AMDGCR3Entry(rawValue: word)
            guard next.isValid, !next.hasViolation else { break }
            table = plain(next.pointer)
            level -= 1
        }
        return path
    }

    /// The GCR3 table is the guest's own: its addresses go through the host tables.
    private func hasGuestsGCR3(_ entry: AMDDeviceTableEntry) -> Bool {
        entry.mode != 0 && hardware.registers.control?.guestAddressesGCR3 ?? true
    }

    /// Untagged requests use PASID 0's tables.
    private func usesGuestTables(_ pasid: PASID?, _ entry: AMDDeviceTableEntry) -> Bool {
        pasid != nil || entry.guestIOProtection
    }

    func entryAddress(_ device: MachineDevice, _ pasid: PASID?) -> PhysicalAddress? {
        guard let (address, entry) = entry(device.requester.rid) else { return nil }
        guard entry.guestTranslation, usesGuestTables(pasid, entry), !hasGuestsGCR3(entry) else {
            return pasid == nil ? address : nil
        }
        guard let last = path(entry, pasid ?? PASID(0)!).last, last.level == 1 else { return nil }
        return last.entry
    }

    // MARK: Writing

    func install(
        _ entry: LookupEntry, for device: MachineDevice, _ pasid: PASID?, arena: inout TableArena
    ) throws(Errno) -> PhysicalAddress {
        guard let (address, old) = self.entry(device.requester.rid) else { throw .EFAULT }
        let tag = UInt16(truncatingIfNeeded: entry.tag)
        var wanted: AMDDeviceTableEntry
        switch entry.path {
        case .passThrough(let rights):
            guard pasid == nil else { throw .EINVAL }
            wanted = AMDDeviceTableEntry(passThroughWith: rights, domainID: tag)
            if try keepsGuest(old) {
                // Guests' tables would be walked without the host's below them.
                guard old.mode == 0 else { throw .EINVAL }
                setGuest(&wanted, like: old, giov: false)
            }
        case .single(let stage) where stage.configuration.format == .amdV1:
            // Host tables beside guest ones are the second stage of a nested translation.
            guard pasid == nil, try !keepsGuest(old), unit.canWalk(stage) else { throw .EINVAL }
            wanted = AMDDeviceTableEntry(
                v1Root: PhysicalAddress(stage.root.rawValue | encryption), mode: stage.configuration.topLevel + 1,
                domainID: tag, hostAccessedDirty: unit.accessedDirty)
        case .single(let stage):
            return try installGuest(stage, over: nil, for: device, pasid, tag, old, at: address, arena: &arena)
        case .nested(let first, let second):
            return try installGuest(first, over: second, for: device, pasid, tag, old, at: address, arena: &arena)
        }
        let frames = wanted.guestTranslation ? [] : gcr3Pages(old)
        publish(&wanted, keeping: old, at: address)
        for frame in frames { arena.free(frame) }
        return address
    }

    func rehost(_ device: MachineDevice, to host: TranslationStage) throws(Errno) {
        guard host.configuration.format == .amdV1,
            let (address, old) = entry(device.requester.rid), old.isValid, old.mode != 0
        else { throw .EINVAL }
        var wanted = old
        wanted.setHost(
            v1Root: PhysicalAddress(host.root.rawValue | encryption), mode: host.configuration.topLevel + 1)
        words.publish(wanted.words, at: address)
    }

    /// Points the GCR3 entry of `pasid` at `stage`, making the GCR3 table of the device with its first entry.
    private func installGuest(
        _ stage: TranslationStage, over host: TranslationStage?, for device: MachineDevice, _ pasid: PASID?,
        _ tag: UInt16, _ old: AMDDeviceTableEntry, at address: PhysicalAddress, arena: inout TableArena
    ) throws(Errno) -> PhysicalAddress {
        guard stage.configuration.format == .x86_64, unit.canWalk(stage) else { throw .EINVAL }
        if let host { guard host.configuration.format == .amdV1, unit.canWalk(host) else { throw .EINVAL } }
        // Beside requests with a PASID, untagged ones go through no host tables of their own; below a second stage they
        // cannot pass unchanged.
        if pasid != nil, old.isValid {
            let isHosts = old.mode != 0 && !old.guestTranslation
            guard !isHosts, host == nil || !old.passesUntagged else { throw .EINVAL }
        }
        let mode = stage.configuration.topLevel == 4 ? 1 : 0
        let isOurs = old.isValid && old.guestTranslation && !hasGuestsGCR3(old)
        var made: [PhysicalAddress] = []
        var link: PhysicalAddress?
        do throws(Errno) {
            var wanted: AMDDeviceTableEntry
            // One mode and one second stage for all PASIDs of a device.
            let isKept = try keepsOthers(old, than: pasid ?? PASID(0)!)
            if isKept {
                guard old.guestPagingModeCode == mode, hostRoot(old) == host?.root else { throw .EINVAL }
            }
            if let host {
                wanted = AMDDeviceTableEntry(
                    v1Root: PhysicalAddress(host.root.rawValue | encryption), mode: host.configuration.topLevel + 1,
                    domainID: tag, hostAccessedDirty: unit.accessedDirty)
            } else {
                wanted = AMDDeviceTableEntry(passThroughWith: .readWrite, domainID: tag)
            }
            if isOurs {
                setGuest(&wanted, like: old, giov: pasid == nil || old.guestIOProtection, mode: mode)
            } else {
                let root = try newFrame(arena: &arena, &made)
                // An untagged request goes on as before, through or blocked, unless it is the one attached here.
                wanted.setGuest(
                    gcr3Root: PhysicalAddress(root.rawValue | encryption), glx: Self.levels(device) - 1,
                    giov: pasid == nil || !old.passesUntagged, guestPagingMode: mode)
            }
            let place = try gcr3Entry(wanted, pasid ?? PASID(0)!, arena: &arena, &made, &link)
            words.publish(
                [AMDGCR3Entry(pointer: PhysicalAddress(stage.root.rawValue | encryption)).rawValue], at: place)
            publish(&wanted, keeping: old, at: address)
            return place
        } catch {
            // Nothing in the tables that are in use may lead to what goes back.
            if isOurs, let link { words.withdraw(1, at: link) }
            for frame in made { arena.free(frame) }
            throw error
        }
    }

    /// The place for `pasid` in level 1, the tables above it made where they are missing; `link` is the entry that leads to
    /// the first of them.
    private func gcr3Entry(
        _ entry: AMDDeviceTableEntry, _ pasid: PASID, arena: inout TableArena, _ made: inout [PhysicalAddress],
        _ link: inout PhysicalAddress?
    ) throws(Errno) -> PhysicalAddress {
        guard AMDLookupIndex.gcr3Reaches(pasid, levels: entry.guestLevelsCode + 1) else { throw .EINVAL }
        while let last = path(entry, pasid).last {
            if last.level == 1 { return last.entry }
            let frame = try newFrame(arena: &arena, &made)
            link = link ?? last.entry
            words.publish(
                [AMDGCR3Entry(pointer: PhysicalAddress(frame.rawValue | encryption)).rawValue], at: last.entry)
        }
        throw .EFAULT
    }

    private func newFrame(arena: inout TableArena, _ made: inout [PhysicalAddress]) throws(Errno) -> PhysicalAddress {
        guard let frame = arena.allocate(memory: words.memory) else { throw .ENOMEM }
        made.append(frame)
        return frame
    }

    private static func levels(_ device: MachineDevice) -> Int { max(1, (Int(device.pasidBits) + 8) / 9) }

    private func setGuest(
        _ entry: inout AMDDeviceTableEntry, like old: AMDDeviceTableEntry, giov: Bool, mode: Int? = nil
    ) {
        entry.setGuest(
            gcr3Root: old.gcr3Root, glx: old.guestLevelsCode, giov: giov,
            guestPagingMode: mode ?? old.guestPagingModeCode)
    }

    /// Writes the translation half of an entry; its interrupt half is another's.
    private func publish(
        _ entry: inout AMDDeviceTableEntry, keeping old: AMDDeviceTableEntry, at address: PhysicalAddress
    ) {
        let mode = AMDDeviceTableEntry.guestPagingMode.mask
        entry.word2 = old.word2 & ~mode | entry.word2 & mode
        entry.word3 = old.word3
        words.publish(entry.words, at: address)
    }

    private func hostRoot(_ entry: AMDDeviceTableEntry) -> PhysicalAddress? {
        entry.mode == 0 ? nil : plain(entry.hostRoot)
    }

    /// True when the entry has guest tables of ours with a PASID other than 0, which an untagged change must not touch.
    private func keepsGuest(_ entry: AMDDeviceTableEntry) throws(Errno) -> Bool {
        try keepsOthers(entry, than: PASID(0)!)
    }

    /// - Throws: `EOPNOTSUPP` for a guest's own GCR3 table.
    private func keepsOthers(_ entry: AMDDeviceTableEntry, than pasid: PASID) throws(Errno) -> Bool {
        guard entry.isValid, entry.guestTranslation else { return false }
        guard !hasGuestsGCR3(entry) else { throw .EOPNOTSUPP }
        let own = path(entry, pasid).last.flatMap { $0.level == 1 ? $0.entry : nil }
        return hasGuestTables(entry, besides: own)
    }

    /// True when some entry of level 1, other than that at `own`, is valid. O(GCR3 tables), and O(levels) where the first
    /// of them are in use.
    private func hasGuestTables(_ entry: AMDDeviceTableEntry, besides own: PhysicalAddress? = nil) -> Bool {
        containsTable(entry) { level, page, words in
            level == 1
                && (0..<512).contains {
                    AMDGCR3Entry(rawValue: words[$0]).isValid
                        && page.advanced(UInt64($0) * AMDGCR3Entry.byteCount) != own
                }
        }
    }

    /// The GCR3 tables of an entry.
    private func gcr3Pages(_ entry: AMDDeviceTableEntry) -> [PhysicalAddress] {
        var pages: [PhysicalAddress] = []
        _ = containsTable(entry) { _, page, _ in
            pages.append(page)
            return false
        }
        return pages
    }

    /// Asks `isWanted` about the GCR3 tables of an entry, each (level, page) once, down to the first PASIDs first, until it
    /// answers true. O(tables).
    private func containsTable(
        _ entry: AMDDeviceTableEntry,
        where isWanted: (_ level: Int, _ page: PhysicalAddress, _ words: UnsafeMutablePointer<UInt64>) -> Bool
    ) -> Bool {
        guard entry.isValid, entry.guestTranslation, !hasGuestsGCR3(entry), entry.guestLevelsCode < 3 else {
            return false
        }
        var seen: [Set<PhysicalAddress>] = Array(repeating: [], count: 3)
        var pending = [(level: entry.guestLevelsCode + 1, page: plain(entry.gcr3Root))]
        while let (level, page) = pending.popLast() {
            guard seen[level - 1].insert(page).inserted, let table = words.memory.page(at: page) else { continue }
            if isWanted(level, page, table) { return true }
            guard level > 1 else { continue }
            for index in (0..<512).reversed() {
                let below = AMDGCR3Entry(rawValue: table[index])
                guard below.isValid, !below.hasViolation else { continue }
                pending.append((level - 1, plain(below.pointer)))
            }
        }
        return false
    }

    func clear(_ device: MachineDevice, _ pasid: PASID?, arena: inout TableArena) -> PhysicalAddress? {
        guard let (address, old) = entry(device.requester.rid) else { return nil }
        let isGuests = old.isValid && old.guestTranslation && !hasGuestsGCR3(old)
        if pasid == nil, !isGuests {
            block(at: address, old)
            return address
        }
        guard isGuests else { return nil }
        if pasid == nil, !old.guestIOProtection {
            // Pass-through beside PASIDs: from here on untagged requests find nothing under PASID 0.
            var entry = old
            setGuest(&entry, like: old, giov: true)
            words.publish(entry.words, at: address)
        } else if let last = path(old, pasid ?? PASID(0)!).last, last.level == 1 {
            words.withdraw(1, at: last.entry)
        }
        guard let (_, now) = entry(device.requester.rid) else { return nil }
        if hasGuestTables(now) {
            dropEmptyTables(now, pasid ?? PASID(0)!, arena: &arena)
            return entryAddress(device, pasid)
        }
        // No guest table is left: the entry goes back to what untagged requests have.
        let frames = gcr3Pages(now)
        if now.guestIOProtection {
            block(at: address, now)
        } else {
            var entry = AMDDeviceTableEntry(passThroughWith: now.protection, domainID: now.domainID)
            publish(&entry, keeping: now, at: address)
        }
        for frame in frames { arena.free(frame) }
        return pasid == nil ? address : nil
    }

    /// Frees the GCR3 tables on the way to `pasid` that hold nothing any more, but for the root.
    private func dropEmptyTables(_ entry: AMDDeviceTableEntry, _ pasid: PASID, arena: inout TableArena) {
        let way = path(entry, pasid)
        for index in way.indices.dropFirst().reversed() where words.isEmpty(page: way[index].table) {
            words.withdraw(1, at: way[index - 1].entry)
            arena.free(way[index].table)
        }
    }

    // MARK: Whole devices

    private func block(at address: PhysicalAddress, _ old: AMDDeviceTableEntry) {
        var entry = AMDDeviceTableEntry.blocked
        entry.word2 = old.word2 & ~AMDDeviceTableEntry.guestPagingMode.mask
        entry.word3 = old.word3
        words.publish(entry.words, at: address)
    }

    func deviceEntry(_ device: MachineDevice) -> DeviceEntry? {
        guard let (address, entry) = entry(device.requester.rid), !entry.isBlocked else { return nil }
        return DeviceEntry(requester: device.requester, address: address, words: entry.words)
    }

    func deviceEntries() -> [DeviceEntry] {
        (0..<min(hardware.registers.deviceTableBase.entryCount, 1 << 16)).compactMap { index in
            guard let (address, entry) = entry(UInt16(index)), !entry.isBlocked else { return nil }
            let requester = RequesterID(segment: unit.segment, rid: UInt16(index))
            return DeviceEntry(requester: requester, address: address, words: entry.words)
        }
    }

    func block(_ entry: DeviceEntry) {
        guard entry.words.count == 4 else { return }
        block(
            at: entry.address,
            AMDDeviceTableEntry(
                word0: entry.words[0], word1: entry.words[1], word2: entry.words[2], word3: entry.words[3]))
    }

    var holdsRoot: Bool {
        // Segments have base registers of their own, which are not modelled.
        guard hardware.registers.control?.deviceTableSegmentsLog2 ?? 0 == 0 else { return false }
        return (0..<min(hardware.registers.deviceTableBase.entryCount, 1 << 16)).allSatisfy { entry(UInt16($0)) != nil }
    }

    func blockAll() { for entry in deviceEntries() { block(entry) } }

    func dropLeftovers(arena: inout TableArena) {}
}

extension AMDDeviceTableEntry {
    /// Untagged requests pass unchanged, beside guest tables or without any.
    fileprivate var passesUntagged: Bool {
        !isValid || (translationValid && mode == 0 && !guestIOProtection && !protection.isEmpty)
    }
}
