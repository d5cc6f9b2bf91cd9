import IOMMUModel
import PageTables

/// One Arm SMMUv3 as the hardware sees it, its non-secure streams: registers in, and from the stream table on everything in
/// memory. Holds no cache. A requester id is its StreamID.
///
/// Read: linear and two-level stream tables, abort, bypass, and stage 2 with a 4 KiB granule and one root table. Not read,
/// and told as ``SMMUFaultReason/notRead``: stage 1, other granules, tables of AArch32, big-endian ones, concatenated root
/// tables, small translation tables, LPA2 (S2DS), permission indirection (S2PIE), hardware update of the dirty state.
public struct SMMUUnitHardware: Sendable, Hashable {
    /// What everything below is decided by; a change takes effect with the next call.
    public var registers: SMMURegisters
    /// Walks set access flags where the stream table entry asks for it (S2HA).
    public var updatesAccessedDirty: Bool

    /// Both as given; nothing is checked.
    public init(registers: SMMURegisters, updatesAccessedDirty: Bool = false) {
        self.registers = registers
        self.updatesAccessedDirty = updatesAccessedDirty
    }

    /// Registers by their ``SMMURegisters/Name``, as a unit's record holds them. Base and configuration of the stream table
    /// are needed.
    init(
        hostAddressWidth: Int, updatesAccessedDirty: Bool, named value: (String) -> UInt64?
    ) throws(IOMMUHardware.MissingRegister) {
        func needed(_ name: String) throws(IOMMUHardware.MissingRegister) -> UInt64 {
            guard let found = value(name) else { throw .init(name: name) }
            return found
        }
        let low = try needed(SMMURegisters.Name.streamTableBaseLow)
        let high = try needed(SMMURegisters.Name.streamTableBaseHigh)
        self.init(
            registers: SMMURegisters(
                streamTableBase: low & 0xffff_ffff | high << 32,
                streamTableConfig: try needed(SMMURegisters.Name.streamTableConfig),
                control: value(SMMURegisters.Name.control), globalBypass: value(SMMURegisters.Name.globalBypass),
                features: value(SMMURegisters.Name.features), streamSizes: value(SMMURegisters.Name.streamSizes),
                sizes: value(SMMURegisters.Name.sizes), eventControl: value(SMMURegisters.Name.eventControl),
                hostAddressWidth: hostAddressWidth),
            updatesAccessedDirty: updatesAccessedDirty)
    }

    /// The registers by name.
    public var namedRegisters: [(name: String, value: UInt64)] {
        let base = registers.streamTableBase
        let needed = [
            (name: SMMURegisters.Name.streamTableBaseLow, value: base & 0xffff_ffff),
            (name: SMMURegisters.Name.streamTableBaseHigh, value: base >> 32),
            (name: SMMURegisters.Name.streamTableConfig, value: registers.streamTableConfig),
        ]
        let others = [
            (SMMURegisters.Name.control, registers.control), (SMMURegisters.Name.globalBypass, registers.globalBypass),
            (SMMURegisters.Name.features, registers.features), (SMMURegisters.Name.streamSizes, registers.streamSizes),
            (SMMURegisters.Name.sizes, registers.sizes), (SMMURegisters.Name.eventControl, registers.eventControl),
        ]
        return needed + others.compactMap { name, value in value.map { (name: name, value: $0) } }
    }

    /// What the unit makes of the transactions of StreamID `rid` with `pasid` as SubstreamID (`nil`: none). CR0 is not looked
    /// at.
    ///
    /// An entry that aborts on purpose is a pass-through context without rights.
    public func resolve(_ rid: UInt16, pasid: PASID?, memory: MemoryView) -> Resolution {
        switch find(rid, memory: memory) {
        case .noEntry(let address):
            .fault(HardwareFault(.smmu(.badStreamID), at: address, isRecorded: registers.recordsUnknownStreams))
        case .absent(let page): .absent(page: page)
        case .entry(let entry, let address): resolve(entry, at: address, pasid: pasid)
        }
    }

    /// What `entry`, at `address`, says.
    func resolve(_ entry: SMMUStreamTableEntry, at address: PhysicalAddress, pasid: PASID?) -> Resolution {
        func context(_ path: TranslationPath, tag: UInt32) -> Resolution {
            .context(
                RequestContext(
                    path: path, cacheTag: tag, entryAddress: address, deviceEntryAddress: address,
                    recordsFaults: entry.recordsFaults,
                    allowsDeviceTLB: entry.atsCode == 1 && entry.configCode == 6))
        }
        do throws(SMMUFaultReason) {
            guard entry.isValid else { throw .entryNotValid }
            switch entry.configCode {
            case 0: return context(.passThrough([]), tag: UInt32(entry.vmid))
            case 1...3: throw .configReserved
            case 4 where pasid != nil, 6 where pasid != nil: throw .badSubstreamID
            case 4: return context(.passThrough(.readWrite), tag: UInt32(entry.vmid))
            case 6: return context(.single(try stage2(entry)), tag: UInt32(entry.vmid))
            default: throw registers.hasStage1 ? .notRead : .configUnsupported
            }
        } catch {
            let word = error == .stage2Illegal || (error == .notRead && entry.configCode == 6) ? UInt64(16) : 0
            return .fault(
                HardwareFault(
                    .smmu(error), at: PhysicalAddress(address.rawValue &+ word), isRecorded: error.eventCode != 0))
        }
    }

    /// The tables of stage 2 (IHI 0070 5.2, S2T0SZ, S2SL0, S2TG, S2PS, S2TTB).
    private func stage2(_ entry: SMMUStreamTableEntry) throws(SMMUFaultReason) -> TranslationStage {
        guard registers.hasStage2 else { throw .configUnsupported }
        let update = entry.setsDirtyState ? 2 : entry.setsAccessFlag ? 1 : 0
        guard entry.isAArch64 ? registers.hasAArch64 : registers.hasAArch32, entry.granuleCode != 3,
            registers.flagUpdates >= update, Int(entry.vmid) >> registers.vmidBits == 0, entry.atsCode != 2
        else { throw .stage2Illegal }
        guard entry.isAArch64, entry.granuleCode == 0, !entry.isBigEndian, !entry.setsDirtyState,
            !entry.hasExtensions, entry.startLevelCode != 3, entry.inputBits >= registers.inputBits.lowerBound
        else { throw .notRead }
        // The input ends in the root's own index bits, or takes at most 16 root tables.
        let top = entry.startLevelCode + 1
        guard registers.hasSmallGranule, registers.inputBits.contains(entry.inputBits), canBegin(at: top),
            (13 + 9 * top...16 + 9 * (top + 1)).contains(entry.inputBits)
        else { throw .stage2Illegal }
        let output = min(entry.outputBits, registers.outputBits, 48)
        guard entry.root.rawValue >> UInt64(output) == 0 else { throw .stage2Illegal }
        guard entry.inputBits <= 12 + 9 * (top + 1), entry.root.isAligned(toLog2: 12),
            let configuration = configuration(
                topLevel: top, addressBits: entry.inputBits, outputBits: output,
                accessedDirty: updatesAccessedDirty && entry.setsAccessFlag,
                accessFlagFaults: !entry.setsAccessFlag && !entry.ignoresAccessFlag)
        else { throw .notRead }
        return TranslationStage(configuration: configuration, root: entry.root)
    }

    /// The vendor's level 0 is there for 44 bits of output and more; fewer are reached by several tables of level 1 (DDI 0487
    /// D8.2, start level).
    private func canBegin(at top: Int) -> Bool { top < 3 || registers.outputBits >= 44 }

    private func configuration(
        topLevel: Int, addressBits: Int, outputBits: Int, accessedDirty: Bool, accessFlagFaults: Bool
    ) -> PageTableConfiguration? {
        PageTableConfiguration(
            format: .armv8Stage2, topLevel: topLevel, addressBits: addressBits, hostAddressWidth: min(outputBits, 48),
            accessedDirty: accessedDirty, accessFlagFaults: accessFlagFaults)
    }

    /// The shape of tables of `format` with their root at `topLevel` and `addressBits` of input (`nil`: all that the levels
    /// reach), without what a stream table entry says; `nil` when the unit lacks them.
    public func configuration(
        format: PageTableFormatKind, topLevel: Int, addressBits: Int?, signExtended: Bool
    ) -> PageTableConfiguration? {
        let inputs = registers.inputBits
        let bits = addressBits ?? min(12 + 9 * (topLevel + 1), inputs.upperBound)
        guard format == .armv8Stage2, !signExtended, registers.hasStage2, inputs.contains(bits),
            bits > 12 + 9 * topLevel, canBegin(at: topLevel)
        else { return nil }
        let setsFlags = updatesAccessedDirty && registers.flagUpdates > 0
        return configuration(
            topLevel: topLevel, addressBits: bits, outputBits: registers.outputBits, accessedDirty: setsFlags,
            accessFlagFaults: !setsFlags)
    }

    /// One transaction of StreamID `rid`. Nothing but access flags is written, and these only with ``updatesAccessedDirty``.
    public func translate(
        _ rid: UInt16, pasid: PASID?, iova: IOVA, access: Access, memory: MemoryView
    ) -> RequestOutcome {
        guard registers.translationEnabled else {
            return registers.abortsWhenOff || iova.rawValue >> UInt64(registers.outputBits) != 0
                ? .fault(HardwareFault(.smmu(.globalAbort), at: nil, isRecorded: false))
                : .untranslated(PhysicalAddress(iova.rawValue), context: nil)
        }
        switch resolve(rid, pasid: pasid, memory: memory) {
        case .untranslated: return .untranslated(PhysicalAddress(iova.rawValue), context: nil)
        case .fault(let fault): return .fault(fault)
        case .absent(let page): return .unknown(page: page)
        case .context(let context): return translate(context, iova: iova, access: access, memory: memory)
        }
    }

    /// The part of ``translate(_:pasid:iova:access:memory:)`` after the lookup: for a caller that caches contexts.
    public func translate(
        _ context: RequestContext, iova: IOVA, access: Access, memory: MemoryView
    ) -> RequestOutcome {
        func fault(_ reason: SMMUFaultReason, at address: PhysicalAddress?) -> RequestOutcome {
            .fault(
                HardwareFault(
                    .smmu(reason), at: address, isRecorded: reason.eventCode != 0 && context.recordsFaults))
        }
        switch context.path {
        case .passThrough(let protection):
            guard !protection.isEmpty else {
                return .fault(HardwareFault(.smmu(.permission), at: context.entryAddress, isRecorded: false))
            }
            guard iova.rawValue >> UInt64(registers.outputBits) == 0 else { return fault(.addressSize, at: nil) }
            return .untranslated(PhysicalAddress(iova.rawValue), context: context)
        case .nested: return fault(.notRead, at: context.entryAddress)
        case .single(let stage):
            // More than any stage 2 takes: the address of the (absent) stage 1 has the wrong size.
            guard iova.rawValue >> UInt64(registers.inputAddressBits) == 0 else { return fault(.addressSize, at: nil) }
            switch Walker.translate(stage, memory: memory, iova: iova, access: access) {
            case .translated(let translation): return .translated(translation, context: context)
            case .absent(let page, _): return .unknown(page: page)
            case .fault(let found, _, let address): return fault(SMMUFaultReason(found), at: address)
            }
        }
    }
}
