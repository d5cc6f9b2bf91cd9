import Hardware
import IOMMUModel
import PageTables

extension UnitHardware {
    /// One access of the requester of `key`, which must be behind this unit, that the IOTLB does not answer: resolved from
    /// the root register down, so that what memory says decides, unless it is known to pass unchanged. O(1): the number of
    /// lookup entries and table levels.
    func miss(_ key: AttachmentKey, iova: IOVA, access: Access, memory: MemoryView) -> DMAOutcome {
        if let address = caches.pointee.pass(RequestKey(key), iova: iova, access: access) {
            caches.pointee.counters.translated &+= 1
            return .address(address)
        }
        let outcome = hardware.translate(
            key.requester.rid, pasid: key.pasid, iova: iova, access: access, memory: memory)
        switch outcome {
        case .translated(let translation, let context):
            caches.pointee.counters.translated &+= 1
            contextCache.fill(.init(key: key, space: context.cacheSpace, passThrough: nil))
            // In the interrupt window it depends on the PASID, which is no part of every key, whether there is a walk.
            if !IOMMUHardware.isInInterruptWindow(iova) {
                iotlb.fill(
                    context.cacheSpace, iova: iova, pa: translation.pa,
                    rights: IOTLB.Rights.of(translation, isDirty: access == .write), source: RequestKey(key))
            }
            return .address(translation.pa)
        case .untranslated(let address, let context):
            caches.pointee.counters.translated &+= 1
            if let context, case .passThrough(let rights) = context.path {
                contextCache.fill(.init(key: key, space: context.cacheSpace, passThrough: rights))
            }
            return .address(address)
        case .interrupt:
            caches.pointee.counters.interrupts &+= 1
            return .interrupt
        case .aborted:
            caches.pointee.counters.faults &+= 1
            return .aborted
        case .unknown(let page):
            caches.pointee.counters.unknown &+= 1
            return .unknown(page)
        case .fault(let fault):
            caches.pointee.counters.faults &+= 1
            if fault.isRecorded {
                faultLog.append(FaultRecord(key: key, iova: iova, access: access, reason: fault.reason))
            }
            return .fault(fault.reason)
        }
    }

    /// Every cached entry that a fresh walk from the root register does not give. Writes nothing, counts nothing.
    func staleEntries(memory: MemoryView) -> [StaleEntry] {
        var result: [StaleEntry] = []
        for entry in contextCache.entries {
            if case .context(let context) = hardware.resolve(
                entry.key.requester.rid, pasid: entry.key.pasid, memory: memory),
                context.cacheSpace == entry.space, context.path.passThroughRights == entry.passThrough
            {
                continue
            }
            result.append(StaleEntry(unit: id, cache: .context, key: entry.key, space: entry.space, iova: nil, pa: nil))
        }
        for entry in iotlb.entries {
            let access: Access = entry.protection.contains(.read) ? .read : .write
            let source = RequestKey.attachmentKey(entry.source, segment: segment)
            if case .translated(let translation, let context) = hardware.observe(
                source.requester.rid, pasid: source.pasid, iova: entry.iova, access: access, memory: memory),
                translation.pa == entry.pa, translation.protection == entry.protection,
                context.cacheSpace == entry.space
            {
                continue
            }
            result.append(
                StaleEntry(
                    unit: id, cache: .iotlb, key: source, space: entry.space, iova: entry.iova, pa: entry.pa))
        }
        return result
    }
}

extension RequestContext {
    /// What the unit's caches hold its translations under.
    var cacheSpace: CacheSpace { CacheSpace(tag: cacheTag, pasid: cachePASID) }
}

extension TranslationPath {
    /// What may be done without tables; `nil`: there are tables.
    var passThroughRights: Protection? {
        if case .passThrough(let rights) = self { rights } else { nil }
    }
}
