import CVector

/// Where in one table the words do not go on from one to the next, found for all words at once.
///
/// For tables of many short runs. Each end of a run is a branch that nobody foresees, and behind it the processor waits for
/// memory that it has not asked for; here it reads the whole table without a branch.
struct EntryBreaks: ~Copyable {
    /// The words that do not continue the one before them, ascending, then 512. Room for what is written ahead.
    private let places: UnsafeMutablePointer<UInt16>
    private static var capacity: Int { 512 + 8 }
    /// A bit for each of those words.
    private let bits: UnsafeMutablePointer<UInt64>
    /// The processor takes four words at once.
    private let isWide: Bool

    /// `isWide` is true at most where the processor is; a test asks for the other way by false.
    init(isWide: Bool = domstore_is_wide()) {
        places = .allocate(capacity: Self.capacity)
        places.initialize(repeating: 512, count: Self.capacity)
        bits = .allocate(capacity: 8)
        bits.initialize(repeating: 0, count: 8)
        self.isWide = isWide
    }

    deinit {
        places.deallocate()
        bits.deallocate()
    }

    /// The words that do not continue the one before them, word 0 first, then 512. Of ``find(in:mask:size:)``.
    @inline(__always)
    subscript(number: Int) -> Int { Int(places[number]) }

    /// Takes in the table at `table`, where a word continues another one that is `size` less under `mask`. (What grows out
    /// of the mask, at its end or into a hole such as the C-bit, counts as going on: that is the caller's to find.)
    @inline(never)
    mutating func find(in table: UnsafePointer<UInt64>, mask: UInt64, size: UInt64) {
        note(in: table, mask: mask, size: size)
        var count = 0
        for group in 0..<8 { count = append(bits[group], first: group &* 64, at: count) }
        places[count] = 512
    }

    /// As ``find(in:mask:size:)``, for who knows where the words need not go on, says so by ``expect(_:)``, and asks
    /// whether it ``hasMore``. The subscript tells of another table then.
    @inline(__always)
    func note(in table: UnsafePointer<UInt64>, mask: UInt64, size: UInt64) {
        if isWide {
            domstore_breaks(table, mask, size, bits)
        } else {
            noteByPairs(in: table, mask: mask, size: size)
        }
    }

    @inline(never)
    private func noteByPairs(in table: UnsafePointer<UInt64>, mask: UInt64, size: UInt64) {
        bits[0] = Self.breaks64(table, isFirst: true, mask: mask, size: size)
        for group in 1..<8 {
            bits[group] = Self.breaks64(table + group &* 64, isFirst: false, mask: mask, size: size)
        }
    }

    /// Word `index`, 0 to 511, need not continue the one before it.
    @inline(__always)
    func expect(_ index: Int) { bits[index &>> 6 & 7] &= ~(1 &<< UInt64(truncatingIfNeeded: index)) }

    /// As ``expect(_:)``, for each of them, at least one.
    func expect(_ places: Range<Int>) {
        let (first, last) = (places.lowerBound, places.upperBound &- 1)
        for group in first &>> 6...last &>> 6 {
            let from = group == first &>> 6 ? UInt64.max &<< UInt64(truncatingIfNeeded: first) : .max
            let to = group == last &>> 6 ? UInt64.max &>> UInt64(truncatingIfNeeded: 63 &- last & 63) : .max
            bits[group & 7] &= ~(from & to)
        }
    }

    /// Another word does not.
    var hasMore: Bool {
        var rest: UInt64 = 0
        for group in 0..<8 { rest |= bits[group] }
        return rest != 0
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
