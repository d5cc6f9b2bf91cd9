import IOMMUModel
import Measurement
import PageTables

extension TableGround {
    /// Mixes the error numbers of requests that no healthy tables, or no tables at all, can take. What is below the first
    /// input address is mapped; nothing changes.
    func refuse(root: UInt64, into digest: inout Digest, _ map: (MapRequest) -> UInt64) {
        let requests = [
            // Mapped already: as a page, as a larger leaf over tables, as a range.
            MapRequest(), MapRequest(byteCount: 2 << 20), MapRequest(byteCount: 1 << 30),
            MapRequest(byteCount: 3 << 12),
            // Nothing, misaligned, no rights.
            MapRequest(byteCount: 0), MapRequest(iova: 1), MapRequest(pa: 1), MapRequest(byteCount: 1),
            MapRequest(rights: 0),
            // Too wide: input addresses, output addresses, either by its end alone.
            MapRequest(iova: 1 << 48), MapRequest(iova: 1 << 48 - 4096, byteCount: 8192),
            MapRequest(iova: 1 << 46, pa: 1 << 46),
            MapRequest(iova: 1 << 46, pa: 1 << 46 - 4096, byteCount: 8192), MapRequest(iova: ~0xfff, byteCount: 8192),
            // More tables than there are frames.
            MapRequest(iova: 1 << 46, pa: 0x2_0000_1000, byteCount: 1 << 34),
        ]
        for request in requests { digest.mix(map(request)) }
        guard let words = memory.page(at: PhysicalAddress(root)) else { return digest.mix(.max) }
        let entry = words[0]
        for damaged in format.damagedTables(entry) {
            words[0] = damaged
            digest.mix(map(MapRequest()))
            digest.mix(map(MapRequest(byteCount: 3 << 12)))
        }
        words[0] = entry
    }
}
