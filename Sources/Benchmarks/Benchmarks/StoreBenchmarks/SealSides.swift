import Measurement

/// A place where one side seals a generation and the other writes to a bare file.
protocol SealSides: AnyObject {
    func prepareSeal() throws
    func seal() throws
    func prepareBare() throws
    func writeBare() throws
    /// What one seal asked the kernel for, and one bare write.
    var cost: SystemCost { get }
    var bareCost: SystemCost { get }
    /// In words.
    var facts: [String] { get }
}

extension Benchmark {
    /// The seal beside the bare write; the design says four syncs.
    static func seal(name: String, summary: String, goal: Double?, _ ground: some SealSides) -> Benchmark {
        Benchmark(
            name: name, summary: summary, goal: goal, clock: .wall,
            subject: Side(
                label: "seal", operations: 1, prepare: { try ground.prepareSeal() },
                run: { _ in
                    try ground.seal()
                    return 0
                }),
            reference: Side(
                label: "bare", operations: 1, prepare: { try ground.prepareBare() },
                run: { _ in
                    try ground.writeBare()
                    return 0
                }),
            counts: {
                let (seal, bare) = (ground.cost, ground.bareCost)
                return [
                    Count(unit: "syncs", subject: seal.syncs, reference: bare.syncs, goal: 4),
                    Count(unit: "writes", subject: seal.writes, reference: bare.writes),
                    Count(unit: "bytes", subject: seal.bytes, reference: bare.bytes),
                ]
            },
            facts: { ground.facts })
    }
}
