/// How the words of a table go on from one to the next: under a mask, word `k` is `first + (k >> slotsLog2) << sizeLog2`.
struct EntryRun {
    private let mask: UInt64
    private let sizeLog2: UInt64
    private let slotsLog2: UInt64
    /// What eight words have more than the first one of them.
    private let lanes: SIMD8<UInt64>

    /// `2^slotsLog2` words alike, then the next as many `2^sizeLog2` more.
    init(mask: UInt64, sizeLog2: UInt64, slotsLog2: UInt64 = 0) {
        self.mask = mask
        self.sizeLog2 = sizeLog2
        self.slotsLog2 = slotsLog2
        lanes = (SIMD8(0, 1, 2, 3, 4, 5, 6, 7) &>> SIMD8(repeating: slotsLog2)) &<< SIMD8(repeating: sizeLog2)
    }

    /// All words alike.
    static func constant(mask: UInt64) -> EntryRun { EntryRun(mask: mask, sizeLog2: 0, slotsLog2: 63) }

    /// Where the run that begins in the table at `table` with word `from` ends, at most `to`. `canHaveGroups` may be false
    /// when ``slotsLog2`` is 0.
    ///
    /// Eight words at a time, and the end among them without a branch: branches that nobody foresees cost more than the
    /// words.
    @inline(__always)
    func end(in table: UnsafePointer<UInt64>, from: Int, to: Int, canHaveGroups: Bool = true) -> Int {
        let first = table[from] & mask
        var index = from
        var expected = lanes &+ SIMD8(repeating: first)
        let step = SIMD8<UInt64>(repeating: canHaveGroups ? (8 &>> slotsLog2) &<< sizeLog2 : 8 &<< sizeLog2)
        while index &+ 8 <= 512 {
            let found = UnsafeRawPointer(table + index).loadUnaligned(as: SIMD8<UInt64>.self) & SIMD8(repeating: mask)
            let differ = found ^ expected
            let four = differ.lowHalf | differ.highHalf
            let two = four.lowHalf | four.highHalf
            if two.x | two.y != 0 {
                let flags = SIMD8<UInt64>(repeating: .max).replacing(
                    with: SIMD8(repeating: 0), where: found .== expected)
                let bytes = SIMD8<UInt8>(truncatingIfNeeded: flags)
                return min(index &+ unsafeBitCast(bytes, to: UInt64.self).trailingZeroBitCount &>> 3, to)
            }
            index &+= 8
            expected &+= step
            // More than eight words alike: the next value comes after some of these steps.
            if canHaveGroups, slotsLog2 > 3, UInt64(truncatingIfNeeded: index &- from) & ((1 &<< slotsLog2) &- 1) == 0 {
                expected &+= SIMD8(repeating: 1 &<< sizeLog2)
            }
        }
        while index < to, table[index] & mask == value(first, index &- from) { index &+= 1 }
        return min(index, to)
    }

    /// What word `offset` is when the first one is `first`.
    @inline(__always)
    private func value(_ first: UInt64, _ offset: Int) -> UInt64 {
        first &+ (UInt64(truncatingIfNeeded: offset) &>> slotsLog2) &<< sizeLog2
    }
}
