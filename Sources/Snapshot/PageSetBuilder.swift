import IOMMUModel

/// Collects the pages of a ``PageSet`` in any order.
public struct PageSetBuilder {
    private var entries: [PageSet.Entry] = []
    /// In the order of ``add(address:level:words:ends:)``.
    private var bytes: [UInt8] = []
    private var isInOrder = true

    /// No pages.
    public init() {}

    /// Adds a page from its 512 words; no (address, level) twice. `ends` as in ``PageRuns/encode(_:ends:into:)``.
    public mutating func add(
        address: PhysicalAddress, level: UInt8, words: UnsafePointer<UInt64>, ends: UnsafeBufferPointer<UInt16>
    ) {
        if let last = entries.last, last.address >= address {
            isInOrder = isInOrder && last.address == address && last.level < level
        }
        let start = UInt32(bytes.count)
        PageRuns.encode(words, ends: ends, into: &bytes)
        entries.append(.init(address: address, level: level, start: start, end: UInt32(bytes.count)))
    }

    /// All pages, in order. O(n log n) where they came in none.
    public consuming func finish() -> PageSet {
        if isInOrder { return PageSet(entries: entries, bytes: bytes) }
        entries.sort { $0.address != $1.address ? $0.address < $1.address : $0.level < $1.level }
        var ordered: [UInt8] = []
        ordered.reserveCapacity(bytes.count)
        for index in entries.indices {
            let (start, end) = (Int(entries[index].start), Int(entries[index].end))
            entries[index].start = UInt32(ordered.count)
            ordered += bytes[start..<end]
            entries[index].end = UInt32(ordered.count)
        }
        return PageSet(entries: entries, bytes: ordered)
    }
}
