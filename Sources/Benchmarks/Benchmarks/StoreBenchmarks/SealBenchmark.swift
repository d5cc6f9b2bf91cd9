import Measurement

extension Benchmark {
    /// The seal of profile S, nothing written before it, beside as many bytes in one bare write + fdatasync.
    ///
    /// The generation is open on one side, an empty file on the other; both grow. No time is set as a goal for this
    /// profile.
    public static func sealSmallHost() throws -> Benchmark {
        seal(
            name: "seal-s",
            summary: "seal of profile S, nothing pre-copied, beside a bare write + fdatasync of the same bytes",
            goal: nil,
            try SealGround(SmallHost.snapshot()))
    }
}
