/// What the rounds of one benchmark gave.
public struct Measurement {
    /// What was measured.
    public let benchmark: Benchmark
    /// Nanoseconds per operation, one per round.
    public let subject: [Double]
    /// Nanoseconds per operation, one per round, in the order of ``subject``.
    public let reference: [Double]

    /// Subject over reference, one per round.
    public var ratios: [Double] { zip(subject, reference).map { $0 / $1 } }

    /// The median of the ratios; never the ratio of the medians.
    public var ratio: Double { Self.median(ratios) }

    /// True when there is no goal or the median ratio meets it.
    public var isMet: Bool { benchmark.goal.map { ratio <= $0 } ?? true }

    /// The middle value, or the mean of the two middle ones. `values` is not empty.
    public static func median(_ values: [Double]) -> Double {
        precondition(!values.isEmpty, "no rounds")
        let sorted = values.sorted()
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }
}
