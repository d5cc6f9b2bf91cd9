import Engine
import IOMMUModel

/// What devices do, in every phase.
extension SimulatedMachine {
    /// One access of a device as its unit answers it, from the caches or from memory; a fault is recorded in the unit's
    /// log. Nothing is transferred. O(levels of the tables).
    public func translate(
        _ requester: RequesterID, pasid: PASID? = nil, iova: IOVA, access: Access
    ) -> DMAOutcome {
        hardware.dma(requester, pasid: pasid, iova: iova, access: access)
    }

    /// A device reads `byteCount` bytes from `iova` on; each 4 KiB page is translated, and then read.
    ///
    /// - Throws: the first page that it may not read.
    public func read(
        _ requester: RequesterID, pasid: PASID? = nil, iova: IOVA, byteCount: Int
    ) throws(DMAFault) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        try transfer(AttachmentKey(requester, pasid), iova: iova, byteCount: byteCount, access: .read) { _, memory in
            bytes.append(contentsOf: memory)
        }
        return bytes
    }

    /// A device writes `bytes` from `iova` on; each 4 KiB page is translated, and then written.
    ///
    /// - Throws: the first page that it may not write; those before it are written.
    public func write(
        _ requester: RequesterID, pasid: PASID? = nil, iova: IOVA, _ bytes: [UInt8]
    ) throws(DMAFault) {
        try transfer(AttachmentKey(requester, pasid), iova: iova, byteCount: bytes.count, access: .write) {
            offset, memory in memory.copyBytes(from: bytes[offset..<offset + memory.count])
        }
    }

    /// Calls `body` with the memory behind each page of the range, and how many bytes were before it.
    package func transfer(
        _ key: AttachmentKey, iova: IOVA, byteCount: Int, access: Access,
        _ body: (_ offset: Int, _ memory: UnsafeMutableRawBufferPointer) -> Void
    ) throws(DMAFault) {
        var done = 0
        while done < byteCount {
            let place = IOVA(iova.rawValue &+ UInt64(done))
            let outcome = translate(key.requester, pasid: key.pasid, iova: place, access: access)
            guard case .address(let address) = outcome, let page = hardware.memory.page(at: address) else {
                throw DMAFault(key: key, iova: place, access: access, outcome: outcome, byteCount: done)
            }
            let count = min(byteCount - done, 4096 - Int(address.pageOffset))
            body(
                done,
                UnsafeMutableRawBufferPointer(
                    start: UnsafeMutableRawPointer(page) + Int(address.pageOffset), count: count))
            done += count
        }
    }
}
