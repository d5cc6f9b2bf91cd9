/// Where in one table the words do not go on from one to the next, found for all words at once.
///
/// For tables of many short runs. Each end of a run is a branch that nobody foresees, and behind it the processor waits for
/// memory that it has not asked for; here it reads the whole table without a branch.
struct EntryBreaks: ~Copyable {
    /// The words that do not continue the one before them, ascending, then 512. Room for what is written ahead.
    private let places: UnsafeMutablePointer<UInt16>
    private static var capacity: Int { 512 + 8 }

    init() {
        places = .allocate(capacity: Self.capacity)
        places.initialize(repeating: 512, count: Self.capacity)
    }

    deinit { places.deallocate() }

    /// The words that do not continue the one before them, word 0 first, then 512.
    @inline(__always)
    subscript(number: Int) -> Int { Int(places[number]) }

    /// Takes in the table at `table`, where a word continues another one that is `size` less under `mask`. (What grows out
    /// of the mask, at its end or into a hole such as the C-bit, counts as going on: that is the caller's to find.)
    @inline(never)
    mutating func find(in table: UnsafePointer<UInt64>, mask: UInt64, size: UInt64) {
        var count = append(Self.breaks64(table, isFirst: true, mask: mask, size: size), first: 0, at: 0)
        for group in 1..<8 {
            let bits = Self.breaks64(table + group &* 64, isFirst: false, mask: mask, size: size)
            count = append(bits, first: group &* 64, at: count)
        }
        places[count] = 512
    }

    /// Of 64 words.
    @inline(__always)
    private static func breaks64(
        _ words: UnsafePointer<UInt64>, isFirst: Bool, mask: UInt64, size: UInt64
    ) -> UInt64 {
        // By constants: a loop would shift by what it counts.
        let a = UInt64(breaks(words, isFirst: isFirst, mask: mask, size: size))
        let b = UInt64(breaks(words + 16, isFirst: false, mask: mask, size: size)) &<< 16
        let c = UInt64(breaks(words + 32, isFirst: false, mask: mask, size: size)) &<< 32
        let d = UInt64(breaks(words + 48, isFirst: false, mask: mask, size: size)) &<< 48
        return a | b | c | d
    }

    /// Of sixteen words; the first of all has none before it.
    @inline(__always)
    private static func breaks(
        _ words: UnsafePointer<UInt64>, isFirst: Bool, mask: UInt64, size: UInt64
    ) -> UInt32 {
        let sizes = SIMD2(repeating: size)
        if isFirst {
            return 1
                | SixteenWords.differing(words, mask: mask) { pair in
                    let before = pair == 0 ? SIMD2(words[0], words[0]) : Self.before(words, pair)
                    return before &+ sizes
                }
        }
        return SixteenWords.differing(words, mask: mask) { Self.before(words, $0) &+ sizes }
    }

    /// The words before those of `pair`.
    @inline(__always)
    private static func before(_ words: UnsafePointer<UInt64>, _ pair: Int) -> SIMD2<UInt64> {
        UnsafeRawPointer(words).loadUnaligned(fromByteOffset: pair &* 16 &- 8, as: SIMD2<UInt64>.self)
    }

    /// Lists the bits of `found`, bit 0 as `first`. Four are written whether they are there or not: how many there are
    /// nobody foresees either.
    @inline(__always)
    private mutating func append(_ found: UInt64, first: Int, at count: Int) -> Int {
        var rest = found
        var place = count
        for _ in 0..<4 {
            places[place] = UInt16(truncatingIfNeeded: first &+ rest.trailingZeroBitCount)
            place &+= rest == 0 ? 0 : 1
            rest &= rest &- 1
        }
        while rest != 0 {
            places[place] = UInt16(truncatingIfNeeded: first &+ rest.trailingZeroBitCount)
            place &+= 1
            rest &= rest &- 1
        }
        return place
    }
}
