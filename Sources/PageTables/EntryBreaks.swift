/// Where in one table the words do not go on from one to the next: a bit per word, found for all words at once.
///
/// For tables of many short runs. Each end of a run is a branch that nobody foresees, and behind it the processor waits for
/// memory that it has not asked for; here it reads the whole table without a branch.
struct EntryBreaks: ~Copyable {
    /// Bit `k` of word `n`: word `64 n + k` of the table does not continue the one before it.
    private let bits: UnsafeMutablePointer<UInt64>

    init() {
        bits = .allocate(capacity: 8)
        bits.initialize(repeating: 0, count: 8)
    }

    deinit { bits.deallocate() }

    /// Takes in the table at `table`, where a word continues another one that is `size` less under `mask`.
    @inline(never)
    mutating func find(in table: UnsafePointer<UInt64>, mask: UInt64, size: UInt64) {
        let (masks, sizes) = (SIMD8(repeating: mask), SIMD8(repeating: size))
        var found: UInt64 = 0
        for chunk in 0..<64 {
            // The first word of all continues none: for the first eight, the look is at words 1 to 8.
            let place = UnsafeRawPointer(table + max(chunk &* 8, 1))
            let words = place.loadUnaligned(as: SIMD8<UInt64>.self) & masks
            let before = place.loadUnaligned(fromByteOffset: -8, as: SIMD8<UInt64>.self) & masks
            let flags = SIMD8<UInt64>(repeating: .max)
                .replacing(with: SIMD8(repeating: 0), where: words .== before &+ sizes)
            let bytes = unsafeBitCast(SIMD8<UInt8>(truncatingIfNeeded: flags), to: UInt64.self)
            // Bit `k` of byte `k`, and the sum of all bytes in the last one.
            let eight = ((bytes & 0x8040_2010_0804_0201) &* 0x0101_0101_0101_0101) &>> 56
            found |= chunk == 0 ? eight &<< 1 | 1 : eight &<< UInt64(truncatingIfNeeded: chunk &* 8 & 63)
            if chunk & 7 == 7 {
                bits[chunk &>> 3] = found
                found = 0
            }
        }
    }

    /// The first word behind word `index` that does not continue the one before it; 512 when there is none.
    @inline(__always)
    func next(after index: Int) -> Int {
        var place = index &+ 1
        while place < 512 {
            let rest = bits[place &>> 6] &>> UInt64(truncatingIfNeeded: place & 63)
            if rest != 0 { return place &+ rest.trailingZeroBitCount }
            place = (place | 63) &+ 1
        }
        return 512
    }
}
