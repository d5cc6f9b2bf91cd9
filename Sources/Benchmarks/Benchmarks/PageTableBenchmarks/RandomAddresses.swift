import Measurement

/// Input addresses in an order that no cache foresees, the same in every run.
public final class RandomAddresses {
    /// As many as were asked for.
    public let pointer: UnsafeMutablePointer<UInt64>

    /// `count` addresses, each somewhere in one of the first `pages` pages of 4 KiB.
    public init(count: Int, pages: UInt64) {
        pointer = .allocate(capacity: count)
        var random = SplitMix(seed: 0x5eed)
        for index in 0..<count {
            let value = random.next()
            (pointer + index).initialize(to: (value % pages) << 12 | (value >> 52))
        }
    }

    deinit { pointer.deallocate() }
}
