import IOMMUModel
import PageTables

extension VTDUnitHardware {
    /// Root entry, then context entry (VT-d 3.4.2).
    func legacyLookup(
        _ rid: UInt16, memory: MemoryView, tracing: Bool, _ steps: inout [LookupStep]
    ) -> Resolution {
        let width = registers.hostAddressWidth
        let table = registers.rootTableAddress.rootTable
        guard let rootAddress = VTDLookupIndex.rootEntry(rid, in: table), let roots = memory.page(at: table)
        else { return .absent(page: table) }
        let bus = VTDLookupIndex.root(rid)
        let root = VTDRootEntry(low: roots[bus &* 2], high: roots[bus &* 2 &+ 1])
        if tracing {
            steps.append(
                LookupStep(
                    layout: VTDRootEntry.layout, address: rootAddress, words: [root.low, root.high],
                    violations: root.violations(hostAddressWidth: width)))
        }
        guard root.isPresent else { return fault(.rootNotPresent, at: rootAddress) }
        guard !root.hasViolation(hostAddressWidth: width) else { return fault(.rootReserved, at: rootAddress) }
        guard let address = VTDLookupIndex.contextEntry(rid, in: root.contextTable),
            let contexts = memory.page(at: root.contextTable)
        else { return .absent(page: root.contextTable) }
        let devfn = VTDLookupIndex.context(rid)
        let entry = VTDContextEntry(low: contexts[devfn &* 2], high: contexts[devfn &* 2 &+ 1])
        if tracing {
            steps.append(
                LookupStep(
                    layout: VTDContextEntry.layout, address: address, words: [entry.low, entry.high],
                    violations: entry.violations(hostAddressWidth: width)))
        }
        return resolution(of: entry, at: address)
    }

    /// What the hardware makes of a context entry that it has reached.
    func resolution(of entry: VTDContextEntry, at address: PhysicalAddress) -> Resolution {
        do throws(VTDFaultReason) {
            return .context(
                RequestContext(
                    path: try path(of: entry), cacheTag: UInt32(entry.domainID), entryAddress: address,
                    deviceEntryAddress: address, recordsFaults: !entry.faultProcessingDisabled,
                    allowsDeviceTLB: entry.translationType == .deviceTLB))
        } catch {
            return fault(error, at: address, suppressed: entry.faultProcessingDisabled)
        }
    }

    /// What a context entry means, by the rules of VT-d 9.3 in the order of the hardware's checks: P (2h), reserved
    /// bits (Bh), then AW, then TT (3h).
    func path(of entry: VTDContextEntry) throws(VTDFaultReason) -> TranslationPath {
        guard entry.isPresent else { throw .contextNotPresent }
        guard !entry.hasViolation(hostAddressWidth: registers.hostAddressWidth) else { throw .contextReserved }
        guard let width = entry.addressWidth,
            let configuration = secondStage(width, accessedDirty: updatesAccessedDirty)
        else { throw .contextInvalid }
        switch entry.translationType {
        case .deviceTLB where !registers.extendedCapability.deviceTLB: throw .contextInvalid
        case .untranslated, .deviceTLB:
            return .single(TranslationStage(configuration: configuration, root: entry.root))
        case .passThrough where registers.extendedCapability.passThrough: return .passThrough(.readWrite)
        case .passThrough, .reserved: throw .contextInvalid
        }
    }
}
