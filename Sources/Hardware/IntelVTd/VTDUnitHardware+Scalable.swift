import IOMMUModel
import PageTables

extension VTDUnitHardware {
    /// Half of the root entry, context entry, PASID directory entry, PASID-table entry (VT-d 3.4.3).
    func scalableLookup(
        _ rid: UInt16, pasid: PASID?, memory: MemoryView, tracing: Bool, asListed: Bool, _ steps: inout [LookupStep]
    ) -> Resolution {
        let width = registers.hostAddressWidth
        let table = registers.rootTableAddress.rootTable
        guard let rootAddress = VTDLookupIndex.rootEntry(rid, in: table), let roots = memory.page(at: table)
        else { return .absent(page: table) }
        let bus = VTDLookupIndex.root(rid)
        let root = VTDScalableRootEntry(lower: roots[bus &* 2], upper: roots[bus &* 2 &+ 1])
        let half = root.half(rid)
        if tracing {
            steps.append(
                LookupStep(
                    layout: VTDScalableRootEntry.layout, address: rootAddress, words: [root.lower, root.upper],
                    violations: half.violations(
                        word: VTDLookupIndex.usesUpperScalableHalf(rid) ? 1 : 0, hostAddressWidth: width)))
        }
        guard half.isPresent else { return fault(.scalableRootNotPresent, at: rootAddress) }
        guard !half.hasViolation(hostAddressWidth: width) else { return fault(.scalableRootReserved, at: rootAddress) }
        guard let address = VTDLookupIndex.scalableContextEntry(rid, in: half.contextTable),
            let contexts = memory.page(at: half.contextTable)
        else { return .absent(page: half.contextTable) }
        let context = VTDScalableContextEntry(contexts + VTDLookupIndex.scalableContext(rid) &* 4)
        let reserved = VTDReservedBits(registers)
        if tracing {
            steps.append(
                LookupStep(
                    layout: VTDScalableContextEntry.layout, address: address, words: context.words,
                    violations: reserved.violations(context)))
        }
        let suppressed = context.faultProcessingDisabled
        if let reason = refusal(of: context, reserved) ?? refusal(of: pasid, by: context, asListed: asListed) {
            return fault(reason, at: address, suppressed: suppressed)
        }
        return pasidLookup(
            pasid ?? untaggedPASID(context), of: context, at: address, isUntagged: pasid == nil, reserved,
            memory: memory, tracing: tracing, &steps)
    }

    private func pasidLookup(
        _ pasid: PASID, of context: VTDScalableContextEntry, at contextAddress: PhysicalAddress, isUntagged: Bool,
        _ reserved: VTDReservedBits, memory: MemoryView, tracing: Bool, _ steps: inout [LookupStep]
    ) -> Resolution {
        guard let slot = VTDLookupIndex.directoryEntry(pasid, in: context.directory), let words = memory.page(at: slot)
        else {
            return .absent(
                page: VTDLookupIndex.directoryEntry(pasid, in: context.directory)?.pageBase ?? context.directory)
        }
        let directory = VTDPASIDDirectoryEntry(words[Int(slot.pageOffset &>> 3)])
        if tracing {
            steps.append(
                LookupStep(
                    layout: VTDPASIDDirectoryEntry.layout, address: slot, words: [directory.word],
                    violations: directory.violations(hostAddressWidth: registers.hostAddressWidth)))
        }
        if let reason = refusal(of: directory) {
            return fault(
                reason, at: slot, suppressed: context.faultProcessingDisabled || directory.faultProcessingDisabled)
        }
        guard let address = VTDLookupIndex.pasidEntry(pasid, in: directory.table),
            let table = memory.page(at: directory.table)
        else { return .absent(page: directory.table) }
        let entry = VTDPASIDEntry(table + VTDLookupIndex.pasidTable(pasid) &* 8)
        if tracing {
            steps.append(
                LookupStep(
                    layout: VTDPASIDEntry.layout, address: address, words: entry.words,
                    violations: reserved.violations(entry)))
        }
        return resolution(
            of: entry, at: address, pasid: pasid, isUntagged: isUntagged, context: context,
            contextAddress: contextAddress, directoryIsSuppressed: directory.faultProcessingDisabled, reserved)
    }

    /// What the hardware makes of a PASID-table entry that it has reached.
    func resolution(
        of entry: VTDPASIDEntry, at address: PhysicalAddress, pasid: PASID, isUntagged: Bool,
        context: VTDScalableContextEntry, contextAddress: PhysicalAddress, directoryIsSuppressed: Bool,
        _ reserved: VTDReservedBits
    ) -> Resolution {
        let suppressed =
            context.faultProcessingDisabled || directoryIsSuppressed || entry.faultProcessingDisabled
        do throws(VTDFaultReason) {
            let path = try path(of: entry, reserved)
            if isUntagged, context.untaggedIsPrivileged, !entry.allowsSupervisor { throw .supervisorNotEnabled }
            let isPASIDKeyed = entry.translationType == .firstStage || entry.translationType == .nested
            return .context(
                RequestContext(
                    path: path, cacheTag: UInt32(entry.domainID), cachePASID: isPASIDKeyed ? pasid : nil,
                    entryAddress: address, deviceEntryAddress: contextAddress, recordsFaults: !suppressed,
                    allowsDeviceTLB: context.allowsDeviceTLB))
        } catch {
            return fault(error, at: address, suppressed: suppressed)
        }
    }
}

/// What each entry says by itself, in the order of the hardware's checks.
extension VTDUnitHardware {
    /// The PASID under which untagged requests are looked up.
    func untaggedPASID(_ context: VTDScalableContextEntry) -> PASID {
        registers.extendedCapability.ridPASID ? context.ridPASID : PASID(0)!
    }

    /// Why the context entry refuses every request, or `nil` (VT-d 9.4; 41h, 42h, 43h).
    func refusal(of context: VTDScalableContextEntry, _ reserved: VTDReservedBits) -> VTDFaultReason? {
        guard context.isPresent else { return .scalableContextNotPresent }
        guard !reserved.hasViolation(context) else { return .scalableContextReserved }
        guard context.allowsDeviceTLB || !context.allowsPageRequests, context.reaches(untaggedPASID(context)) else {
            return .scalableContextInvalid
        }
        return nil
    }

    /// Why a usable context entry refuses requests with `pasid`, or `nil` (45h, 46h, 48h, 89h). `asListed`: not because
    /// the device may not use the PASID (45h, 89h).
    func refusal(of pasid: PASID?, by context: VTDScalableContextEntry, asListed: Bool) -> VTDFaultReason? {
        guard let pasid else { return nil }
        guard asListed || context.pasidEnabled else { return .pasidNotEnabled }
        guard context.reaches(pasid) else { return .pasidBeyondDirectory }
        guard pasid != untaggedPASID(context) else { return .pasidIsRIDPASID }
        guard asListed || pasid.rawValue >> UInt32(registers.extendedCapability.pasidBits) == 0 else {
            return .pasidBeyondSize
        }
        return nil
    }

    /// Why the directory entry refuses its 64 PASIDs, or `nil` (VT-d 9.5; 51h, 52h).
    func refusal(of directory: VTDPASIDDirectoryEntry) -> VTDFaultReason? {
        guard directory.isPresent else { return .pasidDirectoryNotPresent }
        guard !directory.hasViolation(hostAddressWidth: registers.hostAddressWidth) else {
            return .pasidDirectoryReserved
        }
        return nil
    }

    /// Where a PASID-table entry sends addresses (VT-d 9.6; 59h, 5Ah, 5Bh).
    func path(of entry: VTDPASIDEntry, _ reserved: VTDReservedBits) throws(VTDFaultReason) -> TranslationPath {
        guard entry.isPresent else { throw .pasidNotPresent }
        guard !reserved.hasViolation(entry) else { throw .pasidReserved }
        let ecap = registers.extendedCapability
        switch entry.translationType {
        case .firstStage where ecap.firstStage:
            guard let first = firstStage(of: entry) else { throw .pasidInvalid }
            return .single(first)
        case .secondStage where ecap.secondStage:
            guard let second = secondStage(of: entry) else { throw .pasidInvalid }
            return .single(second)
        case .nested where ecap.nested:
            guard let first = firstStage(of: entry), let second = secondStage(of: entry),
                first.root.rawValue >> UInt64(second.configuration.addressBits) == 0
            else { throw .pasidInvalid }
            return .nested(first: first, second: second)
        case .passThrough where ecap.passThrough: return .passThrough(.readWrite)
        case .firstStage, .secondStage, .nested, .passThrough, nil: throw .pasidInvalid
        }
    }

    /// `nil` when FSPM is not supported.
    func firstStage(of entry: VTDPASIDEntry) -> TranslationStage? {
        guard entry.firstStageModeCode < 2,
            let configuration = firstStage(
                isFiveLevel: entry.firstStageModeCode == 1, executeDisable: entry.executeDisable)
        else { return nil }
        return TranslationStage(configuration: configuration, root: entry.firstStageRoot)
    }

    /// `nil` when AW is not supported.
    func secondStage(of entry: VTDPASIDEntry) -> TranslationStage? {
        guard let width = entry.addressWidth,
            let configuration = secondStage(width, accessedDirty: entry.secondStageAccessedDirty)
        else { return nil }
        return TranslationStage(configuration: configuration, root: entry.secondStageRoot)
    }
}
