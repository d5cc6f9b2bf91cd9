import Measurement

/// One row of the table.
struct Result: Encodable {
    /// The benchmark's name, then what was counted where it was not timed.
    let name: String
    let summary: String
    /// `ns/op`, `instructions/op`, or what was counted once.
    let unit: String
    /// Per operation: the median of the rounds, or the count.
    let ours: Double
    let reference: Double
    /// The sides' labels, for `--side`.
    let sides: Sides
    /// The median of the rounds' ratios; its extremes are equal to it where there is one count only.
    let ratio: Double
    let lowestRatio: Double
    let highestRatio: Double
    let rounds: Int
    /// The most that ``ratio`` may be; `nil` when the figure is for information only.
    let goal: Double?
    let isMet: Bool

    struct Sides: Encodable {
        let ours: String
        let reference: String
    }

    init(_ measurement: Measurement) {
        let ratios = measurement.ratios.sorted()
        self.init(
            measurement.benchmark, name: measurement.benchmark.name, unit: "ns/op",
            ours: Measurement.median(measurement.subject), reference: Measurement.median(measurement.reference),
            ratios: ratios, goal: measurement.benchmark.goal)
    }

    /// `counts` is instructions per operation of both sides.
    init(_ benchmark: Benchmark, instructions counts: (subject: Double, reference: Double)) {
        self.init(
            benchmark, name: benchmark.name, unit: "instructions/op", ours: counts.subject, reference: counts.reference,
            ratios: [counts.subject / counts.reference], goal: benchmark.goal)
    }

    init(_ benchmark: Benchmark, _ count: Count) {
        self.init(
            benchmark, name: "\(benchmark.name) \(count.unit)", unit: count.unit, ours: Double(count.subject),
            reference: Double(count.reference), ratios: [Double(count.subject) / Double(count.reference)],
            goal: count.goal)
    }

    /// `ratios` ascending, at least one.
    private init(
        _ benchmark: Benchmark, name: String, unit: String, ours: Double, reference: Double, ratios: [Double],
        goal: Double?
    ) {
        self.name = name
        self.summary = benchmark.summary
        self.unit = unit
        self.ours = ours
        self.reference = reference
        self.sides = Sides(ours: benchmark.subject.label, reference: benchmark.reference.label)
        let ratio = Measurement.median(ratios)
        self.ratio = ratio
        self.lowestRatio = ratios[0]
        self.highestRatio = ratios[ratios.count - 1]
        self.rounds = ratios.count
        self.goal = goal
        // The figure that is printed is the one that is judged.
        self.isMet = goal.map { (ratio * 1000).rounded() <= ($0 * 1000).rounded() } ?? true
    }
}
