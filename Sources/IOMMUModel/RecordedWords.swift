/// Words of one table that follow each other, as a record has them.
public struct RecordedWords: Sendable, Hashable {
    /// The first one.
    public var first: UInt64
    /// What each is more than the one before, modulo 2^64.
    public var stride: UInt64
    /// 1 to 512.
    public var count: Int

    /// All as given; nothing is checked.
    @inlinable
    public init(first: UInt64, stride: UInt64, count: Int) {
        self.first = first
        self.stride = stride
        self.count = count
    }
}
