import IOMMUModel

/// Finds RAM frames that nothing uses: outside the image, outside every mapping.
///
/// New table pages of an imported machine are taken from there, so that no device can write to them and no page of the
/// evidence is touched (lifecycle.md, "Imported machines").
struct FrameFinder {
    /// Free page ranges (page numbers, both ends included), ascending.
    private(set) var free: [ClosedRange<UInt64>]

    /// - Parameters:
    ///   - ram: RAM of the machine, whole pages, any order.
    ///   - used: What must not be touched, any order, may overlap.
    init(ram: [PhysicalRange], used: [PhysicalRange]) {
        let used = used.sorted()
        free = []
        for range in ram.sorted() {
            // Only pages that lie in the range as a whole.
            let first = (range.first.rawValue &+ 0xfff) >> 12
            let end = range.last.rawValue == .max ? 1 << 52 : (range.last.rawValue + 1) >> 12
            var cursor = first
            for taken in used where taken.last.page >= cursor {
                if taken.first.page >= end { break }
                if taken.first.page > cursor { free.append(cursor...taken.first.page - 1) }
                cursor = max(cursor, taken.last.page + 1)
                if cursor >= end { break }
            }
            if cursor < end { free.append(cursor...end - 1) }
        }
    }

    /// The number of free pages.
    var count: UInt64 { free.reduce(0) { $0 + UInt64($1.count) } }

    /// Takes `pages` pages from the top of memory down, largest-address ranges first, as few ranges as the free ones
    /// allow; `nil` when there are not enough.
    mutating func take(_ pages: UInt64) -> [PhysicalRange]? {
        guard pages > 0, count >= pages else { return nil }
        // One contiguous range when there is one: the arena's fast path likes it.
        if let index = free.lastIndex(where: { UInt64($0.count) >= pages }) {
            let range = free[index]
            let first = range.upperBound + 1 - pages
            if first == range.lowerBound {
                free.remove(at: index)
            } else {
                free[index] = range.lowerBound...first - 1
            }
            return [Self.range(first...range.upperBound)]
        }
        var missing = pages
        var taken: [PhysicalRange] = []
        while missing > 0, let range = free.popLast() {
            let count = min(missing, UInt64(range.count))
            let first = range.upperBound + 1 - count
            if first > range.lowerBound { free.append(range.lowerBound...first - 1) }
            taken.append(Self.range(first...range.upperBound))
            missing -= count
        }
        return taken.sorted()
    }

    private static func range(_ pages: ClosedRange<UInt64>) -> PhysicalRange {
        let first = PhysicalAddress(page: pages.lowerBound)
        return PhysicalRange(first: first, bytes: UInt64(pages.count) << 12)!
    }
}
