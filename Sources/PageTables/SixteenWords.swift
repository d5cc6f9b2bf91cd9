import CVector

/// Sixteen words of a table, and which of them are what is expected: without a branch, two words an instruction.
enum SixteenWords {
    /// Bit `k`: word `k` at `words` is not, under `mask`, what `expected` answers for the pair of words that it is in:
    /// pair `k / 2`, 0 to 7.
    @inline(__always)
    static func differing(
        _ words: UnsafePointer<UInt64>, mask: UInt64, from expected: (_ pair: Int) -> SIMD2<UInt64>
    ) -> UInt32 {
        let masks = SIMD2(repeating: mask)
        @inline(__always) func difference(_ pair: Int) -> SIMD2<UInt64> {
            let found = UnsafeRawPointer(words + pair &* 2).loadUnaligned(as: SIMD2<UInt64>.self)
            return (found ^ expected(pair)) & masks
        }
        let (a, b) = (domstore_fold(difference(0), difference(1)), domstore_fold(difference(2), difference(3)))
        let (c, d) = (domstore_fold(difference(4), difference(5)), domstore_fold(difference(6), difference(7)))
        return domstore_used(a, b, c, d)
    }
}
