import IOMMUModel

/// Collects the pages of a ``PageSet`` in any order.
public struct PageSetBuilder {
    private var entries: [PageSet.Entry] = []
    /// In the order of ``entries``; bytes of no page only where ``isInOrder`` is false.
    private var bytes: [UInt8] = []
    /// What there is so far is a ``PageSet`` as it stands.
    private var isInOrder = true

    /// No pages.
    public init() {}

    /// The number of pages so far.
    public var count: Int { entries.count }

    /// The bytes of all runs so far.
    public var byteCount: Int { bytes.count }

    /// Adds a page from its 512 words; no (address, level) twice. `ends` as in ``PageRuns/encode(_:ends:into:)``.
    public mutating func add(
        address: PhysicalAddress, level: UInt8, words: UnsafePointer<UInt64>, ends: UnsafeBufferPointer<UInt16>
    ) {
        let start = UInt32(bytes.count)
        PageRuns.encode(words, ends: ends, into: &bytes)
        push(address, level, start)
    }

    /// Adds pages whose runs stand in `encoded`, each where its entry says and none before the end of the one before, and
    /// were checked with ``PageRuns/validate(_:readable:)``. One copy, whatever their number.
    public mutating func add(_ pages: UnsafeMutableBufferPointer<PageSet.Entry>, encoded: UnsafeRawBufferPointer) {
        let base = UInt32(bytes.count)
        var end = base
        for index in pages.indices {
            pages[index].start &+= base
            pages[index].end &+= base
            let page = pages[index]
            isInOrder = isInOrder && page.start == end
            if index > 0 { note(page.address, page.level, after: pages[index &- 1]) }
            end = page.end
        }
        if let last = entries.last, let first = pages.first { note(first.address, first.level, after: last) }
        bytes.append(contentsOf: encoded)
        entries.append(contentsOf: pages)
        isInOrder = isInOrder && Int(end) == bytes.count
    }

    @inline(__always)
    private mutating func push(_ address: PhysicalAddress, _ level: UInt8, _ start: UInt32) {
        if let last = entries.last { note(address, level, after: last) }
        entries.append(.init(address: address, level: level, start: start, end: UInt32(bytes.count)))
    }

    @inline(__always)
    private mutating func note(_ address: PhysicalAddress, _ level: UInt8, after last: PageSet.Entry) {
        if last.address >= address { isInOrder = isInOrder && last.address == address && last.level < level }
    }

    /// As ``finish()``, for pages from anywhere: of each (address, level) the first one stays, `repeated` is told the
    /// others.
    public consuming func finish(repeated: (PageSet.Entry) -> Void) -> PageSet {
        if !isInOrder {
            var seen: Set<UInt64> = []
            var kept: [PageSet.Entry] = []
            for entry in entries {
                if seen.insert(entry.address.rawValue | UInt64(entry.level)).inserted {
                    kept.append(entry)
                } else {
                    repeated(entry)
                }
            }
            entries = kept
        }
        return finish()
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
