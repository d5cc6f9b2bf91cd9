/// How the words of a table go on from one to the next: under a mask, word `k` is `first + (k >> slotsLog2) << sizeLog2`.
struct EntryRun {
    private let mask: UInt64
    private let sizeLog2: UInt64
    private let slotsLog2: UInt64

    /// `2^slotsLog2` words alike, then the next as many `2^sizeLog2` more.
    init(mask: UInt64, sizeLog2: UInt64, slotsLog2: UInt64 = 0) {
        self.mask = mask
        self.sizeLog2 = sizeLog2
        self.slotsLog2 = slotsLog2
    }

    /// All words alike.
    static func constant(mask: UInt64) -> EntryRun { EntryRun(mask: mask, sizeLog2: 0, slotsLog2: 63) }

    /// Where the run that begins in the table at `table` with word `from` ends, at most `to`. `canHaveGroups` may be false
    /// when ``slotsLog2`` is 0.
    ///
    /// Sixteen words at a time, and the end among them without a branch: branches that nobody foresees cost more than the
    /// words.
    @inline(__always)
    func end(in table: UnsafePointer<UInt64>, from: Int, to: Int, canHaveGroups: Bool = true) -> Int {
        let first = table[from] & mask
        var index = from
        var base = SIMD2(repeating: first)
        let step: UInt64 = canHaveGroups ? (16 &>> slotsLog2) &<< sizeLog2 : 16 &<< sizeLog2
        while index &+ 16 <= 512 {
            let bits = SixteenWords.differing(table + index, mask: mask) { pair in
                base &+ SIMD2(offset(pair &* 2, canHaveGroups), offset(pair &* 2 &+ 1, canHaveGroups))
            }
            if bits != 0 { return min(index &+ bits.trailingZeroBitCount, to) }
            index &+= 16
            base &+= SIMD2(repeating: step)
            // More than sixteen words alike: the next value comes after some of these steps.
            if canHaveGroups, slotsLog2 > 4, UInt64(truncatingIfNeeded: index &- from) & ((1 &<< slotsLog2) &- 1) == 0 {
                base &+= SIMD2(repeating: 1 &<< sizeLog2)
            }
        }
        while index < to, (table[index] ^ (first &+ offset(index &- from, canHaveGroups))) & mask == 0 { index &+= 1 }
        return min(index, to)
    }

    /// What word `number` of a run has more than the first one.
    @inline(__always)
    private func offset(_ number: Int, _ canHaveGroups: Bool) -> UInt64 {
        let number = UInt64(truncatingIfNeeded: number)
        return (canHaveGroups ? number &>> slotsLog2 : number) &<< sizeLog2
    }
}
