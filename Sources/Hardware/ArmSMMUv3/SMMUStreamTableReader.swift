import IOMMUModel
import PageTables

extension SMMUUnitHardware {
    /// Everything that stands in the stream table, StreamIDs of 16 bits only.
    ///
    /// Not listed: entries that are zero, and those that abort on purpose. Bounded by the structures' own size and by as many
    /// devices as `budget` says; a defect (`table-budget-exceeded`) says when there are more.
    public func listing(memory: MemoryView, budget: LookupBudget = LookupBudget()) -> LookupListing {
        var reader = SMMUStreamTableReader(hardware: self, memory: memory, budget: budget)
        reader.run()
        return reader.listing
    }
}

/// Reads a whole stream table into a ``LookupListing``.
struct SMMUStreamTableReader {
    let hardware: SMMUUnitHardware
    let memory: MemoryView
    var listing: LookupListing
    private var pages = Set<LookupListing.Page>()
    private var devicesLeft: Int
    private var isExhausted = false

    init(hardware: SMMUUnitHardware, memory: MemoryView, budget: LookupBudget) {
        self.hardware = hardware
        self.memory = memory
        listing = LookupListing(root: hardware.registers.streamTable.pageBase)
        devicesLeft = budget.devices
    }

    private var registers: SMMURegisters { hardware.registers }

    mutating func run() {
        checkRegisters()
        guard memory.page(at: listing.root) != nil else {
            listing.rootIsAbsent = true
            return
        }
        let streams = 1 << min(registers.streamBits, 16)
        if registers.isTwoLevel {
            let perArray = 1 << registers.split
            for index in 0..<max(streams / perArray, 1) where !isExhausted {
                readDescriptor(index, first: index * perArray)
            }
        } else {
            readArray(registers.streamTable, count: streams, first: 0, at: nil)
        }
        listing.pages = pages.sorted()
    }

    private mutating func checkRegisters() {
        func note(_ severity: Severity?, _ message: String) {
            listing.defects.append(LookupDefect(.smmuStreamTable, severity: severity, at: nil, message))
        }
        if registers.formatCode > 1 { note(nil, "strtab_base_cfg has the reserved format \(registers.formatCode)") }
        if registers.streamBits > 16 {
            note(
                .note, "the stream table has StreamIDs of \(registers.streamBits) bits; those above 0xffff are not read"
            )
        }
    }

    private mutating func readDescriptor(_ index: Int, first: Int) {
        let place = hardware.descriptorAddress(index)
        guard let word = memory.word(at: place) else {
            if place.pageOffset == 0 {
                listing.defects.append(
                    LookupDefect(
                        .smmuStreamTable, at: nil, rid: UInt16(first), absentPage: place.pageBase,
                        "stream table page \(place.pageBase) is not in memory"))
            }
            return
        }
        pages.insert(.init(address: place.pageBase, kind: .smmuStreamTableLevel1))
        guard word != 0 else { return }
        let descriptor = SMMUStreamTableDescriptor(rawValue: word)
        let violations = SMMUStreamTableDescriptor.layout.violations([word])
        if !violations.isEmpty {
            listing.defects.append(
                LookupDefect(
                    .smmuStreamTable, severity: .warning, at: place, rid: UInt16(first),
                    "reserved bits \(violations.map(\.description).joined(separator: ", ")) of the descriptor are set"))
        }
        let count = min(descriptor.entryCount(split: registers.split), 1 << min(registers.streamBits, 16))
        if count == 0 {
            listing.defects.append(
                LookupDefect(
                    .smmuStreamTable, severity: descriptor.span == 0 ? .warning : nil, at: place, rid: UInt16(first),
                    descriptor.span == 0
                        ? "the descriptor has no span but is not empty"
                        : "span \(descriptor.span) is more than the \(registers.split) bits of the split have"))
            return
        }
        readArray(descriptor.array(split: registers.split), count: count, first: first, at: place)
    }

    /// The `count` entries at `array`, those of StreamIDs from `first` on; `descriptor` points to them.
    private mutating func readArray(_ array: PhysicalAddress, count: Int, first: Int, at descriptor: PhysicalAddress?) {
        var index = 0
        while index < count, !isExhausted {
            let address = PhysicalAddress(array.rawValue &+ UInt64(index) &* SMMUStreamTableEntry.byteCount)
            let offset = Int(address.pageOffset) / Int(SMMUStreamTableEntry.byteCount)
            let here = min(count - index, 64 - offset)
            if let words = memory.page(at: address) {
                pages.insert(.init(address: address.pageBase, kind: .smmuStreamTable))
                for number in 0..<here where !isExhausted {
                    let word = (offset + number) * SMMUStreamTableEntry.wordCount
                    read(
                        SMMUUnitHardware.entry(in: words, at: word), rid: UInt16(first + index + number),
                        at: PhysicalAddress(address.pageBase.rawValue | UInt64(word) << 3))
                }
            } else {
                listing.defects.append(
                    LookupDefect(
                        .smmuStreamTable, at: descriptor, rid: UInt16(first + index), absentPage: address.pageBase,
                        "stream table page \(address.pageBase) is not in memory"))
            }
            index += here
        }
    }

    private mutating func read(_ entry: SMMUStreamTableEntry, rid: UInt16, at address: PhysicalAddress) {
        guard entry.isValid else {
            if entry.word0 | entry.word1 | entry.word2 | entry.word3 != 0 {
                listing.defects.append(
                    LookupDefect(
                        .smmuSTEConfig, severity: .warning, at: address, rid: rid,
                        "V is 0 but the entry is not empty: its transactions are aborted"))
            }
            return
        }
        if entry.isAborting { return }
        guard devicesLeft > 0 else {
            isExhausted = true
            listing.defects.append(
                LookupDefect(
                    .tableBudgetExceeded, at: address, rid: rid,
                    "the stream table has too many devices to be listed: what follows is not read"))
            return
        }
        devicesLeft -= 1
        let resolution = hardware.resolve(entry, at: address, pasid: nil)
        listing.entries.append(
            .init(
                rid: rid, pasid: nil, entryAddress: address, deviceEntryAddress: address, resolution: resolution))
        if case .fault(let fault) = resolution, case .smmu(let reason) = fault.reason {
            addDefect(reason, of: entry, rid: rid, at: fault.entryAddress ?? address)
        }
    }

    private mutating func addDefect(
        _ reason: SMMUFaultReason, of entry: SMMUStreamTableEntry, rid: UInt16, at address: PhysicalAddress
    ) {
        let rule: RuleID
        let message: String
        switch reason {
        case .configReserved:
            rule = .smmuSTEConfig
            message = "Config \(entry.configCode) is reserved: every transaction is aborted"
        case .stage2Illegal:
            rule = .smmuSTEStage2
            message = """
                stage 2 with \(entry.inputBits) bits of input (S2T0SZ \(64 - entry.inputBits)), S2SL0 \
                \(entry.startLevelCode), S2TG \(entry.granuleCode), S2AA64 \(entry.isAArch64 ? 1 : 0) and root \
                \(entry.root) does not fit itself or the unit: every transaction is refused (C_BAD_STE)
                """
        case .notRead:
            rule = .smmuSTENotRead
            message =
                entry.configCode == 6
                ? "S2TG \(entry.granuleCode), S2SL0 \(entry.startLevelCode) with \(entry.inputBits) bits, or another form of "
                    + "tables: not read by this version"
                : "Config \(entry.configCode) has a stage 1, which this version does not read"
        default:
            rule = .smmuSTEConfig
            message = "Config \(entry.configCode): \(reason.meaning)"
        }
        listing.defects.append(LookupDefect(rule, at: address, rid: rid, message))
    }
}
