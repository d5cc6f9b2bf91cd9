/// Which of `count` slices is next, round and round.
public final class SliceCursor {
    /// At least 1.
    public let count: Int
    /// From 0 on.
    public private(set) var position = 0

    /// The first slice is the one after the first ``advance()``.
    public init(count: Int) { self.count = count }

    /// Goes on to the next slice.
    public func advance() { position = (position + 1) % count }
}
