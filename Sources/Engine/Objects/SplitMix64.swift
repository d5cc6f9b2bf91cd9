/// The engine's source of randomness: SplitMix64 (Steele, Lea, Flood 2014). One word of state, so that recording it is
/// recording everything that will be drawn.
public struct SplitMix64: RandomNumberGenerator, Sendable, Hashable {
    /// The whole state.
    public private(set) var state: UInt64

    /// The seed is the first state; 0 is as good as any.
    public init(seed: UInt64) { state = seed }

    /// The next 64 bits; one step of ``state``.
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z &>> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z &>> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z &>> 31)
    }
}
