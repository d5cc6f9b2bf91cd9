import IOMMUModel

extension Machine {
    /// One access of a device, as its unit answers it. Starts at the root register whenever the IOTLB does not hold the
    /// page. Works with or without an engine.
    @inlinable
    public func dma(
        _ requester: RequesterID, pasid: PASID? = nil, iova: IOVA, access: Access
    ) -> DMAOutcome {
        // Two functions, each of which knows what it is asked for: the question would cost a hit a tenth of its time.
        guard let pasid else { return untaggedDMA(requester, iova: iova, access: access) }
        return taggedDMA(requester, pasid, iova: iova, access: access)
    }

    @usableFromInline
    func untaggedDMA(_ requester: RequesterID, iova: IOVA, access: Access) -> DMAOutcome {
        if let address = hit(requester, RequestKey(requester.rid), iova: iova, access: access) {
            return .address(address)
        }
        return miss(AttachmentKey(requester), iova: iova, access: access)
    }

    @usableFromInline
    func taggedDMA(_ requester: RequesterID, _ pasid: PASID, iova: IOVA, access: Access) -> DMAOutcome {
        if let address = hit(requester, RequestKey(requester.rid, pasid), iova: iova, access: access) {
            return .address(address)
        }
        return miss(AttachmentKey(requester, pasid), iova: iova, access: access)
    }

    /// The answer of the caches of the first segment's units; `nil` when they have none.
    @inline(__always)
    private func hit(_ requester: RequesterID, _ key: RequestKey, iova: IOVA, access: Access) -> PhysicalAddress? {
        guard let caches = deviceTable.firstSegmentCaches(of: requester) else { return nil }
        return caches.pointee.hit(key, iova: iova, access: access)
    }

    /// Whatever is not answered by the caches of the first segment's units: kept out of the way of what is.
    @inline(never)
    private func miss(_ key: AttachmentKey, iova: IOVA, access: Access) -> DMAOutcome {
        guard let caches = deviceTable.caches(of: key.requester), let index = deviceTable.index(of: key.requester)
        else {
            return .notIssued
        }
        if let address = caches.pointee.hit(RequestKey(key), iova: iova, access: access) { return .address(address) }
        return units[unitOfDevice[index]].miss(key, iova: iova, access: access, memory: memory.view)
    }

    /// Every cached translation of every unit that a fresh walk does not give: each one is a forgotten invalidation.
    public func findStaleEntries() -> [StaleEntry] { units.flatMap { $0.staleEntries(memory: memory.view) } }
}
