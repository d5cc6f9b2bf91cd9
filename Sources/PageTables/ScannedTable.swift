import IOMMUModel

/// One table, in memory, as a scan comes by it. Valid only then.
public struct ScannedTable {
    /// Where it is in the host's memory, 4 KiB aligned.
    public let page: PhysicalAddress
    /// That it is used at; 0 maps 4 KiB.
    public let level: Int
    /// All 512.
    public let words: UnsafePointer<UInt64>
    /// Where the longest runs end that the words are: of zeros, and of other words each of which is 4,096 more than the one
    /// before. Ascending, the last one 512; empty when there is something else in the table, a contiguous leaf included, when
    /// the input width ends inside it, and above level 0.
    public let ends: UnsafeBufferPointer<UInt16>
    /// All words are what was expected of them; false when nothing was.
    public let isAsExpected: Bool

    @inline(__always)
    init(
        page: UInt64, level: Int, words: UnsafePointer<UInt64>, ends: UnsafeBufferPointer<UInt16>, isAsExpected: Bool
    ) {
        self.page = PhysicalAddress(page)
        self.level = level
        self.words = words
        self.ends = ends
        self.isAsExpected = isAsExpected
    }
}
