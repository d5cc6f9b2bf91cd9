/// The items of a contiguous leaf: the slots of one table that all hold its word.
enum LeafItems {
    /// The slots of the leaf `word`, which stands in one of them, at `index`.
    @inline(__always)
    static func slots<Format: PageTableFormat>(
        of format: Format.Type, _ word: UInt64, at index: Int, level: Int, _ rules: EntryRules
    ) -> Range<Int> {
        guard Format.hasContiguousLeaves else { return index..<index &+ 1 }
        let slot = UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
        let count = 1 &<< Int(truncatingIfNeeded: Format.leafSizeLog2(word, level: level, rules) &- slot)
        let first = index & ~(count &- 1)
        return Range(uncheckedBounds: (first, first &+ count))
    }

    /// The bits in which all items agree: all but those that the hardware sets in each by itself.
    @inline(__always)
    static func mask<Format: PageTableFormat>(of format: Format.Type) -> UInt64 {
        ~(Format.accessedBit | Format.dirtyBit)
    }

    /// True when two items are of the same leaf.
    @inline(__always)
    static func areAlike<Format: PageTableFormat>(_ format: Format.Type, _ a: UInt64, _ b: UInt64) -> Bool {
        (a ^ b) & mask(of: format) == 0
    }
}
