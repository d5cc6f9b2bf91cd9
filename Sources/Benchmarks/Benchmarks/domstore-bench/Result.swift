import Measurement

/// One row of the table.
struct Result: Encodable {
    let name: String
    let summary: String
    /// `ns` or `instructions`.
    let unit: String
    let goal: Double?
    /// The median of the ratios; its extremes are equal to it where there is one count only.
    let ratio: Double
    let lowestRatio: Double
    let highestRatio: Double
    let rounds: Int
    /// Label and median per operation.
    let subject: Figure
    let reference: Figure
    /// What else the benchmark can tell, in words.
    let facts: [String]

    struct Figure: Encodable {
        let side: String
        let perOperation: Double
    }

    var isMet: Bool { goal.map { ratio <= $0 } ?? true }

    init(_ measurement: Measurement, facts: [String]) {
        let benchmark = measurement.benchmark
        let ratios = measurement.ratios.sorted()
        name = benchmark.name
        summary = benchmark.summary
        unit = "ns"
        goal = benchmark.goal
        ratio = measurement.ratio
        lowestRatio = ratios[0]
        highestRatio = ratios[ratios.count - 1]
        rounds = ratios.count
        subject = Figure(side: benchmark.subject.label, perOperation: Measurement.median(measurement.subject))
        reference = Figure(side: benchmark.reference.label, perOperation: Measurement.median(measurement.reference))
        self.facts = facts
    }

    init(_ benchmark: Benchmark, _ counts: (subject: Double, reference: Double)) {
        name = benchmark.name
        summary = benchmark.summary
        unit = "instructions"
        goal = benchmark.goal
        ratio = counts.subject / counts.reference
        lowestRatio = ratio
        highestRatio = ratio
        rounds = 1
        subject = Figure(side: benchmark.subject.label, perOperation: counts.subject)
        reference = Figure(side: benchmark.reference.label, perOperation: counts.reference)
        facts = []
    }
}
