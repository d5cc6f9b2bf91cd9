import Hardware
import IOMMUModel
import PageTables

extension UnitHardware {
    /// One access of `requester`, which must be behind this unit.
    ///
    /// Served by the context cache and the IOTLB when both hold it; otherwise resolved from the root register down, so
    /// that what memory says decides. O(1), at most 7 memory reads.
    func dma(
        _ requester: RequesterID, pasid: PASID?, iova: IOVA, access: Access, memory: MemoryView
    ) -> DMAOutcome {
        if pasid == nil, let context = contextCache.lookup(requester),
            hardware.registers.globalStatus.translationEnabled,
            !VTDUnitHardware.interruptWindow.contains(iova)
        {
            if context.isPassThrough {
                counters.translated &+= 1
                return .address(PhysicalAddress(iova.rawValue))
            }
            // A write through a leaf whose dirty bit is not set yet must walk, to set it.
            if let entry = iotlb.lookup(tag: context.cacheTag, iova: iova), entry.protection.contains(access.needs),
                access == .read || entry.isDirty || !accessedDirty
            {
                counters.translated &+= 1
                counters.cacheHits &+= 1
                return .address(PhysicalAddress(entry.pa.rawValue | iova.pageOffset))
            }
        }
        return walk(requester, pasid: pasid, iova: iova, access: access, memory: memory)
    }

    private func walk(
        _ requester: RequesterID, pasid: PASID?, iova: IOVA, access: Access, memory: MemoryView
    ) -> DMAOutcome {
        switch hardware.legacyTranslate(requester.rid, pasid: pasid, iova: iova, access: access, memory: memory) {
        case .translated(let translation, let context):
            counters.translated &+= 1
            let tag = UInt32(context.entry.domainID)
            contextCache.fill(.init(requester: requester, cacheTag: tag, isPassThrough: false))
            iotlb.fill(
                tag: tag, iova: iova, pa: translation.pa, protection: translation.protection,
                isDirty: access == .write, requester: requester)
            return .address(translation.pa)
        case .untranslated(let address, let context):
            counters.translated &+= 1
            if let context {
                contextCache.fill(
                    .init(requester: requester, cacheTag: UInt32(context.entry.domainID), isPassThrough: true))
            }
            return .address(address)
        case .interrupt:
            counters.interrupts &+= 1
            return .interrupt
        case .aborted:
            counters.faults &+= 1
            return .aborted
        case .unknown(let page):
            counters.unknown &+= 1
            return .unknown(page)
        case .fault(let fault):
            counters.faults &+= 1
            if fault.isRecorded {
                faultLog.append(
                    FaultRecord(requester: requester, pasid: pasid, iova: iova, access: access, reason: fault.reason))
            }
            return .fault(fault.reason)
        }
    }

    /// Every cached entry that a fresh walk from the root register does not give. Writes nothing, counts nothing.
    func staleEntries(memory: MemoryView) -> [StaleEntry] {
        var reader = hardware
        reader.updatesAccessedDirty = false
        var result: [StaleEntry] = []
        for entry in contextCache.sorted {
            if case .context(let context) = reader.resolve(entry.requester.rid, memory: memory),
                UInt32(context.entry.domainID) == entry.cacheTag,
                (context.translation == .passThrough) == entry.isPassThrough
            {
                continue
            }
            result.append(
                StaleEntry(
                    unit: id, cache: .context, requester: entry.requester, cacheTag: entry.cacheTag, iova: nil, pa: nil)
            )
        }
        for entry in iotlb.entries {
            let access: Access = entry.protection.contains(.read) ? .read : .write
            if case .translated(let translation, let context) = reader.legacyTranslate(
                entry.requester.rid, iova: entry.iova, access: access, memory: memory),
                translation.pa == entry.pa, translation.protection == entry.protection,
                UInt32(context.entry.domainID) == entry.cacheTag
            {
                continue
            }
            result.append(
                StaleEntry(
                    unit: id, cache: .iotlb, requester: entry.requester, cacheTag: entry.cacheTag, iova: entry.iova,
                    pa: entry.pa))
        }
        return result
    }
}
