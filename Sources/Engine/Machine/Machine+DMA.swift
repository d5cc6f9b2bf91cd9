import IOMMUModel

extension Machine {
    /// One access of a device, as its unit answers it. Starts at the root register whenever the IOTLB does not hold the
    /// page. Works with or without an engine.
    @inlinable
    public func dma(
        _ requester: RequesterID, pasid: PASID? = nil, iova: IOVA, access: Access
    ) -> DMAOutcome {
        guard let pasid else {
            if let address = hit(requester, iova: iova, access: access) { return .address(address) }
            return miss(requester, iova: iova, access: access)
        }
        return taggedDMA(requester, pasid, iova: iova, access: access)
    }

    /// The answer of the caches of the first segment's units to a request without a PASID; `nil` when they have none.
    @inlinable
    func hit(_ requester: RequesterID, iova: IOVA, access: Access) -> PhysicalAddress? {
        defer { withExtendedLifetime(self) {} }
        guard let place = deviceTable.firstSegmentPlace(of: requester), let caches = place.pointee.caches else {
            return nil
        }
        return caches.pointee.hit(place.pointee.lookupSpace, salt: place.pointee.salt, iova: iova, access: access)
    }

    /// As the untagged half of ``dma(_:pasid:iova:access:)``; a call, since it is too much code for every caller.
    @usableFromInline
    func taggedDMA(_ requester: RequesterID, _ pasid: PASID, iova: IOVA, access: Access) -> DMAOutcome {
        let key = RequestKey(requester.rid, pasid)
        if let caches = deviceTable.firstSegmentPlace(of: requester)?.pointee.caches,
            let address = caches.pointee.hit(key, iova: iova, access: access)
        {
            return .address(address)
        }
        return miss(AttachmentKey(requester, pasid), iova: iova, access: access)
    }

    /// What ``hit(_:iova:access:)`` has no answer to.
    @inline(never) @usableFromInline
    func miss(_ requester: RequesterID, iova: IOVA, access: Access) -> DMAOutcome {
        miss(AttachmentKey(requester), iova: iova, access: access)
    }

    /// Whatever is not answered by the caches of the first segment's units: kept out of the way of what is.
    @inline(never)
    private func miss(_ key: AttachmentKey, iova: IOVA, access: Access) -> DMAOutcome {
        guard let place = deviceTable.place(of: key.requester), let caches = place.caches, place.number > 0 else {
            return .notIssued
        }
        if let address = caches.pointee.hit(RequestKey(key), iova: iova, access: access) { return .address(address) }
        return units[unitOfDevice[place.number - 1]].miss(key, iova: iova, access: access, memory: memory.view)
    }

    /// Every cached translation of every unit that a fresh walk does not give: each one is a forgotten invalidation.
    public func findStaleEntries() -> [StaleEntry] { units.flatMap { $0.staleEntries(memory: memory.view) } }
}
