import IOMMUModel

/// Where table and lookup pages are, asked for each run of translations: most reach none, and that is told by a bit or two.
struct TableFrames: Sendable {
    /// Ascending.
    private let pages: [PhysicalAddress]
    /// Bit `k`: a page is among the `2^shift` bytes from `base + k * 2^shift` on.
    private var regions: [UInt64] = []
    private let base: UInt64
    /// The last byte of the last page; less than ``base`` when there is none.
    private let end: UInt64
    private let shift: UInt64

    /// `pages` ascending, 4 KiB aligned. O(n).
    init(_ pages: [PhysicalAddress]) {
        self.pages = pages
        base = pages.first?.rawValue ?? 1
        end = pages.last.map { $0.rawValue | 0xfff } ?? 0
        let span = (pages.last?.rawValue ?? base) &- base
        // 64 bits a page at most, so that one of 64 is set where they lie scattered.
        var shift: UInt64 = 21
        while span >> shift >= UInt64(pages.count + 1) * 64 { shift += 1 }
        self.shift = shift
        regions = [UInt64](repeating: 0, count: Int((span >> shift) >> 6) + 1)
        for page in pages {
            let region = (page.rawValue &- base) >> shift
            regions[Int(region >> 6)] |= 1 << (region & 63)
        }
    }

    /// The lowest page that has bytes between `first` and `last`. O(log pages) near one, else O(bytes / 2 MiB) at most.
    @inline(__always)
    func lowest(_ first: UInt64, _ last: UInt64) -> PhysicalAddress? {
        guard first <= end, last >= base, !pages.isEmpty else { return nil }
        let region = (max(first, base) &- base) &>> shift
        let lastRegion = (min(last, end) &- base) &>> shift
        // Most are short and reach none.
        if region == lastRegion, regions[Int(region &>> 6)] &>> (region & 63) & 1 == 0 { return nil }
        return search(first, last, region, lastRegion)
    }

    private func search(_ first: UInt64, _ last: UInt64, _ start: UInt64, _ lastRegion: UInt64) -> PhysicalAddress? {
        var region = start
        while region <= lastRegion, regions[Int(region &>> 6)] &>> (region & 63) & 1 == 0 {
            // A word of regions at once.
            region = regions[Int(region &>> 6)] &>> (region & 63) == 0 ? (region | 63) &+ 1 : region &+ 1
        }
        guard region <= lastRegion else { return nil }
        let low = pages.firstIndex(from: 0) { $0.rawValue | 0xfff >= first }
        guard low < pages.count, pages[low].rawValue <= last else { return nil }
        return pages[low]
    }
}
