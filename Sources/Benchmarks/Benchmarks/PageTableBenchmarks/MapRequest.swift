/// A mapping to ask for; what is not said is one page at 0, where every benchmark has mapped something.
struct MapRequest {
    var iova: UInt64 = 0
    var pa: UInt64 = 0x2_0000_0000
    var byteCount: UInt64 = 4096
    var rights: UInt8 = 3

    /// Mappings that succeed one after the other, far from all others: with new tables and without, as one leaf and as a
    /// range. Each shows which frames it marks as written.
    static let next = [
        MapRequest(iova: 1 << 46), MapRequest(iova: 1 << 46 + 4096),
        MapRequest(iova: 1 << 46 + 8192, byteCount: 5 << 12),
        MapRequest(iova: 1 << 46 + 2 << 20, byteCount: 2 << 20),
        MapRequest(iova: 1 << 46 + 4 << 20, byteCount: 3 << 21),
        MapRequest(iova: 1 << 46 + 63 << 20, pa: 0x2_0000_1000, byteCount: 3 << 20),
        MapRequest(iova: 1 << 46 + 127 << 16, pa: 0x2_0001_0000, byteCount: 1 << 24, rights: 1),
        MapRequest(iova: 1 << 46 + 1 << 31, byteCount: 7 << 28, rights: 2),
    ]
}
