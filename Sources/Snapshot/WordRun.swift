/// A search for the end of a run of words, eight words at a time.
struct WordRun {
    private let lanes: SIMD8<UInt64>
    private let stride: UInt64

    /// Words that each are `stride` more than the one before.
    init(stride: UInt64) {
        self.stride = stride
        lanes = SIMD8(0, 1, 2, 3, 4, 5, 6, 7) &* SIMD8(repeating: stride)
    }

    /// How many of the `limit` words at `words`, at least one, continue the first one; none of them is 0 unless all are.
    func length(_ words: UnsafePointer<UInt64>, limit: Int) -> Int {
        let length = search(words, limit: limit)
        let first = words[0]
        guard first != 0, stride != 0 else { return length }
        // Where a run would come to 0: up, past the end of 64 bits, or down.
        let (distance, step) = stride >> 63 == 0 ? (0 &- first, stride) : (first, 0 &- stride)
        let (steps, rest) = distance.quotientAndRemainder(dividingBy: step)
        return rest == 0 && steps < UInt64(length) ? Int(steps) : length
    }

    /// As ``length(_:limit:)``, with zeros.
    ///
    /// The end of a run among eight words is found without a branch. A function of its own: a compiler that knows the lanes
    /// takes the vectors apart.
    @inline(never)
    private func search(_ words: UnsafePointer<UInt64>, limit: Int) -> Int {
        let first = words[0]
        var expected = lanes &+ SIMD8(repeating: first)
        let step = SIMD8(repeating: stride &* 8)
        var index = 0
        while index &+ 8 <= limit {
            let found = UnsafeRawPointer(words + index).loadUnaligned(as: SIMD8<UInt64>.self)
            let differ = found ^ expected
            let four = differ.lowHalf | differ.highHalf
            let two = four.lowHalf | four.highHalf
            if two.x | two.y != 0 {
                let flags = SIMD8<UInt64>(repeating: .max).replacing(
                    with: SIMD8(repeating: 0), where: found .== expected)
                let bytes = unsafeBitCast(SIMD8<UInt8>(truncatingIfNeeded: flags), to: UInt64.self)
                return index &+ bytes.trailingZeroBitCount &>> 3
            }
            expected &+= step
            index &+= 8
        }
        var next = first &+ UInt64(truncatingIfNeeded: index) &* stride
        while index < limit, words[index] == next {
            next &+= stride
            index &+= 1
        }
        return index
    }
}
