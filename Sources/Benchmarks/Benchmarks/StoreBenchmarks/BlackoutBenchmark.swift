import Measurement

extension Benchmark {
    /// The seal of profile L after a pre-copy, `dirtyPercent` of areas and tables changed since, beside one page written in
    /// place and synced: what a handover adds to the disk's own time while no engine runs.
    public static func blackout(dirtyPercent: Int) throws -> Benchmark {
        let ground = try BlackoutGround(dirtyPercent: dirtyPercent)
        return Benchmark(
            name: dirtyPercent == 0 ? "blackout-idle" : "blackout-\(dirtyPercent)pct",
            summary: "seal of profile L after a pre-copy, \(dirtyPercent) % of areas and tables changed, beside one "
                + "4 KiB write + fdatasync",
            goal: dirtyPercent == 0 ? 5 : 12, clock: .wall,
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
