import Measurement

extension Benchmark {
    /// The seal of profile S, nothing written before it, beside as many bytes in one bare write + fdatasync.
    ///
    /// The generation is open on one side, an empty file on the other; both grow. No goal is set for this profile.
    public static func sealSmallHost() throws -> Benchmark {
        let ground = try SealGround(SmallHost.snapshot())
        return Benchmark(
            name: "seal-s", summary: "seal of profile S, nothing pre-copied", goal: nil, clock: .wall,
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
            facts: {
                let cost = ground.cost
                return [
                    "\(cost.syncs) syncs, \(cost.writes) writes of \(cost.bytes) bytes in all, journal included",
                    "\(ground.fileBytes) bytes in the sealed file: \(SmallHost.deviceCount) devices, "
                        + "\(SmallHost.areaCount) areas, \(SmallHost.tablePages) table pages",
                    "the bare side: 1 sync, \(cost.bytes) bytes",
                ]
            })
    }
}
