import IOMMUModel

extension Machine {
    /// One access of a device, as its unit answers it. Starts at the root register whenever the IOTLB does not hold the
    /// page. Works with or without an engine.
    public func dma(
        _ requester: RequesterID, pasid: PASID? = nil, iova: IOVA, access: Access
    ) -> DMAOutcome {
        guard let index = deviceIndex(requester), devices[index].busMaster else { return .notIssued }
        return units[unitOfDevice[index]].dma(
            AttachmentKey(requester, pasid), iova: iova, access: access, memory: memory.view)
    }

    /// Every cached translation of every unit that a fresh walk does not give: each one is a forgotten invalidation.
    public func findStaleEntries() -> [StaleEntry] { units.flatMap { $0.staleEntries(memory: memory.view) } }
}
