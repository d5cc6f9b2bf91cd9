import IOMMUModel
import PageTables

/// Reads a whole device table into a ``LookupListing``.
struct AMDDeviceTableReader {
    let hardware: AMDUnitHardware
    let memory: MemoryView
    var listing: LookupListing
    private var gcr3: AMDGCR3Reader
    private var pages = Set<LookupListing.Page>()
    private var devicesLeft: Int
    private var isExhausted = false

    init(hardware: AMDUnitHardware, memory: MemoryView, budget: LookupBudget) {
        self.hardware = hardware
        self.memory = memory
        listing = LookupListing(root: hardware.registers.deviceTable)
        devicesLeft = budget.devices
        gcr3 = AMDGCR3Reader(hardware: hardware, memory: memory, budget: budget)
    }

    mutating func run() {
        checkRegisters()
        let base = hardware.registers.deviceTable.rawValue
        for number in 0..<hardware.registers.deviceTableBase.pageCount where !isExhausted {
            let page = PhysicalAddress(base &+ UInt64(number) &* 4096)
            guard let words = memory.page(at: page) else {
                if number == 0 {
                    listing.rootIsAbsent = true
                    return
                }
                listing.defects.append(
                    LookupDefect(
                        .amdDeviceTable, at: nil, rid: UInt16(number * AMDLookupIndex.entriesPerPage),
                        absentPage: page, "device table page \(page) is not in memory"))
                continue
            }
            pages.insert(.init(address: page, kind: .amdDeviceTable))
            for index in 0..<AMDLookupIndex.entriesPerPage where !isExhausted {
                let entry = AMDDeviceTableEntry(
                    word0: words[index * 4], word1: words[index * 4 + 1], word2: words[index * 4 + 2],
                    word3: words[index * 4 + 3])
                if entry.isZero || entry.isBlocked { continue }
                read(
                    entry, rid: UInt16(number * AMDLookupIndex.entriesPerPage + index),
                    at: PhysicalAddress(page.rawValue | UInt64(index) << 5))
            }
        }
        listing.pages = pages.union(gcr3.pages).sorted()
    }

    private mutating func checkRegisters() {
        let registers = hardware.registers
        let violations = registers.deviceTableBase.violations
        if !violations.isEmpty {
            listing.defects.append(
                LookupDefect(
                    .amdDeviceTable, at: nil,
                    "reserved bits \(violations.map(\.description).joined(separator: ", ")) of the base register are set"
                ))
        }
        if let segments = registers.control?.deviceTableSegmentsLog2, segments != 0 {
            listing.defects.append(
                LookupDefect(
                    .amdDeviceTable, at: nil,
                    "the control register splits the device table into \(1 << segments) segments; only the first is read"
                ))
        }
    }

    private mutating func read(_ entry: AMDDeviceTableEntry, rid: UInt16, at address: PhysicalAddress) {
        guard !entry.isValid || takeDevice(rid, at: address) else { return }
        checkWords(entry, rid: rid, at: address)
        guard entry.isValid else { return }
        switch hardware.device(rid, memory: memory) {
        case .absent, .untranslated: return
        case .fault(let fault):
            add(rid, nil, entryAddress: address, deviceEntry: address, .fault(fault))
            if case .amd(let reason) = fault.reason { addDefect(reason.cause, of: entry, rid: rid, at: address) }
        case .device(let device):
            addUntagged(device, rid: rid)
            if let guest = device.guest { gcr3.list(device, guest, rid: rid, into: &listing) }
        }
    }

    /// Counts one device; false (told once) when none is left.
    private mutating func takeDevice(_ rid: UInt16, at address: PhysicalAddress) -> Bool {
        guard devicesLeft == 0 else {
            devicesLeft -= 1
            return true
        }
        isExhausted = true
        listing.defects.append(
            LookupDefect(
                .tableBudgetExceeded, at: address, rid: rid,
                "the device table has too many devices to be listed: what follows is not read"))
        return false
    }

    private mutating func addUntagged(_ device: AMDDevice, rid: UInt16) {
        let resolution = hardware.resolve(device, pasid: nil, memory: memory)
        var entryAddress = device.address
        switch resolution {
        case .context(let context):
            if case .passThrough(let protection) = context.path, protection.isEmpty { return }
            entryAddress = context.entryAddress
        case .fault(let fault):
            guard case .amd(let reason) = fault.reason, reason.cause != .gcr3NotValid else { return }
            if reason.cause == .gcr3Reserved, let address = fault.entryAddress { entryAddress = address }
        case .absent, .untranslated: break
        }
        add(rid, nil, entryAddress: entryAddress, deviceEntry: device.address, resolution)
    }

    private mutating func add(
        _ rid: UInt16, _ pasid: PASID?, entryAddress: PhysicalAddress, deviceEntry: PhysicalAddress,
        _ resolution: Resolution
    ) {
        listing.entries.append(
            .init(
                rid: rid, pasid: pasid, entryAddress: entryAddress, deviceEntryAddress: deviceEntry,
                resolution: resolution))
    }

    /// What is suspicious in the words, whatever the hardware makes of them.
    private mutating func checkWords(_ entry: AMDDeviceTableEntry, rid: UInt16, at address: PhysicalAddress) {
        func warn(_ rule: RuleID, word: Int, _ message: String) {
            listing.defects.append(
                LookupDefect(
                    rule, severity: .warning, at: PhysicalAddress(address.rawValue &+ 8 &* UInt64(word)), rid: rid,
                    message))
        }
        if entry.interruptMapValid, let violation = entry.interruptViolations.first {
            warn(.amdDTEReserved, word: violation.word, "reserved bits \(violation) are set: its interrupts fault")
        }
        guard entry.isValid else {
            if entry.word0 | entry.word1 != 0 {
                warn(
                    .amdDTETranslationInvalid, word: entry.word0 != 0 ? 0 : 1,
                    "V is 0 but the entry is not empty: its requests pass untranslated")
            }
            return
        }
        if entry.mode != 0, entry.hostAccessedDirtyCode == 2 {
            warn(.amdDTEReserved, word: 0, "HAD 2 is reserved")
        }
    }

    private mutating func addDefect(
        _ cause: AMDFaultCause, of entry: AMDDeviceTableEntry, rid: UInt16, at address: PhysicalAddress
    ) {
        var word = 0
        let rule: RuleID
        let message: String
        switch cause {
        case .translationInvalid:
            rule = .amdDTETranslationInvalid
            message = "V is 1 and TV is 0: every request is aborted"
        case .pagingMode:
            rule = .amdDTEMode
            message =
                entry.mode == 7
                ? "paging mode 7 is reserved"
                : "paging mode \(entry.mode), but the unit has \(hardware.registers.hostLevels) levels"
        case .guestMode:
            rule = .amdDTEGuest
            message = """
                guest translation with GLX \(entry.guestLevelsCode), guest paging mode \(entry.guestPagingModeCode) and \
                GIoV \(entry.guestIOProtection ? 1 : 0), which the unit does not support
                """
        default:
            rule = .amdDTEReserved
            word = entry.memoryViolations.first?.word ?? 0
            let bits = entry.memoryViolations.map(\.description).joined(separator: ", ")
            message = "reserved bits \(bits) are set"
        }
        listing.defects.append(
            LookupDefect(rule, at: PhysicalAddress(address.rawValue &+ 8 &* UInt64(word)), rid: rid, message))
    }
}
