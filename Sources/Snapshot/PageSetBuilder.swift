import IOMMUModel

/// Collects the pages of a ``PageSet`` in any order.
public struct PageSetBuilder {
    private var entries: [PageSet.Entry] = []
    /// In the order of ``add(address:level:words:ends:)``.
    private var bytes: [UInt8] = []
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

    /// Adds a page whose runs are already encoded, and were checked with ``PageRuns/validate(_:)``.
    public mutating func add(address: PhysicalAddress, level: UInt8, encoded: UnsafeRawBufferPointer) {
        let start = UInt32(bytes.count)
        bytes.append(contentsOf: encoded)
        push(address, level, start)
    }

    @inline(__always)
    private mutating func push(_ address: PhysicalAddress, _ level: UInt8, _ start: UInt32) {
        if let last = entries.last, last.address >= address {
            isInOrder = isInOrder && last.address == address && last.level < level
        }
        entries.append(.init(address: address, level: level, start: start, end: UInt32(bytes.count)))
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
