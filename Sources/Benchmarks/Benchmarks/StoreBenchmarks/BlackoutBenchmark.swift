import Measurement

extension Benchmark {
    /// The seal of profile L after a pre-copy, `dirtyPercent` of areas and tables changed since, beside one page written in
    /// place and synced: what a handover adds to the disk's own time while no engine runs.
    public static func blackout(dirtyPercent: Int) throws -> Benchmark {
        seal(
            name: dirtyPercent == 0 ? "blackout-idle" : "blackout-\(dirtyPercent)pct",
            summary: "seal of profile L after a pre-copy, \(dirtyPercent) % of areas and tables changed, beside one "
                + "4 KiB write + fdatasync", goal: dirtyPercent == 0 ? 5 : 12,
            try BlackoutGround(dirtyPercent: dirtyPercent))
    }
}
