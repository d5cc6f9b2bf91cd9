/// Input addresses in an order that no cache foresees, the same in every run.
public final class RandomAddresses {
    /// As many as were asked for.
    public let pointer: UnsafeMutablePointer<UInt64>

    /// `count` addresses, each somewhere in one of the first `pages` pages of 4 KiB.
    public init(count: Int, pages: UInt64) {
        pointer = .allocate(capacity: count)
        // splitmix64; the seed is of no importance.
        var state: UInt64 = 0x5eed
        for index in 0..<count {
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
            value ^= value >> 31
            (pointer + index).initialize(to: (value % pages) << 12 | (value >> 52))
        }
    }

    deinit { pointer.deallocate() }
}
