import Measurement

extension Benchmark {
    /// The seal of profile S, nothing written before it, beside as many bytes in one bare write + fdatasync.
    ///
    /// The generation is open on one side, an empty file on the other; both grow. No time is set as a goal for this
    /// profile; the design says four syncs.
    public static func sealSmallHost() throws -> Benchmark {
        let ground = try SealGround(SmallHost.snapshot())
        return Benchmark(
            name: "seal-s",
            summary: "seal of profile S, nothing pre-copied, beside a bare write + fdatasync of the same bytes",
            goal: nil, clock: .wall,
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
            facts: {
                [
                    "\(ground.fileBytes) bytes in the sealed file, \(ground.openBytes) before the seal: "
                        + "\(SmallHost.deviceCount) devices, \(SmallHost.areaCount) areas, "
                        + "\(SmallHost.tablePages) table pages",
                    "bytes and writes include the rollback journal; the time of both sides is the disk's",
                ]
            })
    }
}
