import IOMMUModel

extension Machine {
    /// One access of a device, as its unit answers it. Starts at the root register whenever the IOTLB does not hold the
    /// page. Works with or without an engine.
    public func dma(
        _ requester: RequesterID, pasid: PASID? = nil, iova: IOVA, access: Access
    ) -> DMAOutcome {
        guard let caches = deviceTable.caches(of: requester) else { return .notIssued }
        if let address = caches.pointee.serve(requester.rid, pasid, iova: iova, access: access) {
            return .address(address)
        }
        return walk(AttachmentKey(requester, pasid), iova: iova, access: access)
    }

    @inline(never)
    private func walk(_ key: AttachmentKey, iova: IOVA, access: Access) -> DMAOutcome {
        guard let index = deviceTable.index(of: key.requester) else { return .notIssued }
        return units[unitOfDevice[index]].walk(key, iova: iova, access: access, memory: memory.view)
    }

    /// Every cached translation of every unit that a fresh walk does not give: each one is a forgotten invalidation.
    public func findStaleEntries() -> [StaleEntry] { units.flatMap { $0.staleEntries(memory: memory.view) } }
}
