/// A small deterministic generator: a printed seed gives the same run again.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// True in `share` of all cases.
    mutating func chance(_ share: Double) -> Bool {
        if share >= 1 { return true }
        return share > 0 && Double(next() >> 11) * 0x1p-53 < share
    }

    /// 0 to `bound` - 1.
    mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() % UInt64(bound)) }
}
