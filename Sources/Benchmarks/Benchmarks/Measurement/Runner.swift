/// Runs both sides of a benchmark in turn.
public struct Runner {
    /// At least 9.
    public let rounds: Int

    /// Fewer than 9 rounds count as 9.
    public init(rounds: Int) { self.rounds = max(rounds, 9) }

    /// The two sides of a round answered different sums, or left different things behind: they do not do the same work.
    public struct Disagreement: Error, CustomStringConvertible {
        /// The benchmark's name.
        public let benchmark: String
        /// The two sums, or the two digests of what was left behind.
        public let sums: (subject: UInt64, reference: UInt64)
        /// One line: the benchmark and both numbers in decimal.
        public var description: String {
            "\(benchmark): the sides disagree, \(sums.subject) and \(sums.reference)"
        }
    }

    /// One round that does not count, then ``rounds`` that do; the side that goes first alternates.
    public func run(_ benchmark: Benchmark) throws -> Measurement {
        try rehearse(benchmark)
        var subject: [Double] = []
        var reference: [Double] = []
        for number in 0..<rounds {
            let times = try StackDepth.call(depth: number % 64) {
                try round(benchmark, subjectFirst: number % 2 == 0)
            }
            subject.append(times.subject)
            reference.append(times.reference)
        }
        return Measurement(benchmark: benchmark, subject: subject, reference: reference)
    }

    /// One round that does not count and shows that both sides leave the same behind.
    private func rehearse(_ benchmark: Benchmark) throws {
        let digests = try [benchmark.subject, benchmark.reference].map { side in
            _ = try time(side, benchmark.clock)
            return try side.digest()
        }
        guard digests[0] == digests[1] else {
            throw Disagreement(benchmark: benchmark.name, sums: (digests[0], digests[1]))
        }
    }

    private func round(_ benchmark: Benchmark, subjectFirst: Bool) throws -> (subject: Double, reference: Double) {
        var subject = 0.0
        var reference = 0.0
        for number in 0..<benchmark.repetitions {
            let subjectFirst = subjectFirst == (number % 2 == 0)
            let first = try time(subjectFirst ? benchmark.subject : benchmark.reference, benchmark.clock)
            let second = try time(subjectFirst ? benchmark.reference : benchmark.subject, benchmark.clock)
            guard first.sum == second.sum else {
                let sums = subjectFirst ? (first.sum, second.sum) : (second.sum, first.sum)
                throw Disagreement(benchmark: benchmark.name, sums: sums)
            }
            subject += subjectFirst ? first.nanoseconds : second.nanoseconds
            reference += subjectFirst ? second.nanoseconds : first.nanoseconds
        }
        return (subject / Double(benchmark.repetitions), reference / Double(benchmark.repetitions))
    }

    /// Nanoseconds per operation, and the sum.
    private func time(_ side: Side, _ clock: Clock) throws -> (nanoseconds: Double, sum: UInt64) {
        try side.prepare()
        let start = clock.now
        let sum = try measuredSection(side, operations: side.operations)
        return (Double(clock.now &- start) / Double(side.operations), sum)
    }
}
