import IOMMUModel

/// Table pages of one owner, each with its address and level, as lossless runs of words (``PageRuns``).
///
/// Sorted by (address, level); a page that a damaged tree uses at two levels stands here once per level.
/// Storage is proportional to the number of runs, not of words: a real page takes 13 to 105 bytes.
public struct PageSet: Sendable, Hashable {
    /// One page's place.
    public struct Entry: Sendable, Hashable {
        /// 4 KiB aligned.
        public var address: PhysicalAddress
        /// Page tables: the table's level. Lookup structures: the structure's kind (``LookupLevel``).
        public var level: UInt8
        /// Where the page's runs begin in ``PageSet/bytes``.
        public var start: UInt32
        /// One past the last byte of its runs.
        public var end: UInt32

        /// All as given; nothing is checked.
        public init(address: PhysicalAddress, level: UInt8, start: UInt32, end: UInt32) {
            self.address = address
            self.level = level
            self.start = start
            self.end = end
        }
    }

    /// Ascending by (address, level), no pair twice.
    public private(set) var entries: [Entry] = []
    /// The runs of all pages, one after the other in the order of ``entries``; less than 4 GiB.
    public private(set) var bytes: [UInt8] = []

    /// No pages.
    public init() {}

    /// What a ``PageSetBuilder`` has collected: `entries` in order, and `bytes` in theirs.
    init(entries: [Entry], bytes: [UInt8]) {
        self.entries = entries
        self.bytes = bytes
    }

    /// The number of pages, a page at two levels counted twice.
    public var count: Int { entries.count }

    /// Appends a page from its 512 words (little-endian values as read). Pages must be appended in ascending
    /// (address, level); anything else is a bug of the caller.
    public mutating func append(address: PhysicalAddress, level: UInt8, words: UnsafePointer<UInt64>) {
        let start = bytes.count
        PageRuns.encode(words, into: &bytes)
        push(address: address, level: level, start: start)
    }

    /// Appends a page whose runs are already encoded (as read from a store). The caller has checked them with
    /// ``PageRuns/validate(_:)``.
    public mutating func append(address: PhysicalAddress, level: UInt8, encoded: UnsafeRawBufferPointer) {
        let start = bytes.count
        bytes.append(contentsOf: encoded)
        push(address: address, level: level, start: start)
    }

    private mutating func push(address: PhysicalAddress, level: UInt8, start: Int) {
        if let last = entries.last {
            precondition(
                last.address != address ? last.address < address : last.level < level, "pages must be appended in order"
            )
        }
        entries.append(
            Entry(address: address, level: level, start: UInt32(start), end: UInt32(bytes.count)))
    }

    /// Calls `body` with the encoded runs of page `index`.
    public func withEncoded<R>(_ index: Int, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        let entry = entries[index]
        return try bytes.withUnsafeBytes {
            try body(UnsafeRawBufferPointer(rebasing: $0[Int(entry.start)..<Int(entry.end)]))
        }
    }

    /// Writes the 512 words of page `index` to `words`.
    public func decode(_ index: Int, into words: UnsafeMutablePointer<UInt64>) {
        withEncoded(index) { PageRuns.decode($0, into: words) }
    }

    /// The index of the page at `address` and `level`, by binary search.
    public func index(of address: PhysicalAddress, level: UInt8) -> Int? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            let entry = entries[middle]
            if entry.address != address ? entry.address < address : entry.level < level {
                low = middle + 1
            } else {
                high = middle
            }
        }
        guard low < entries.count, entries[low].address == address, entries[low].level == level else { return nil }
        return low
    }
}
