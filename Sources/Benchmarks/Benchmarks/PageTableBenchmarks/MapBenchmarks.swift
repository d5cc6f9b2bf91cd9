import Measurement

extension Benchmark {
    /// A million 4 KiB pages, each in a call of its own: a walk of four levels and a leaf.
    public static func mapSmallPages() throws -> Benchmark {
        try map(
            name: "map-4k", summary: "map of one 4K page, 10^6 in a row, beside C -O2", byteCount: 4096,
            pa: 0x2_0000_0000, operations: 1_000_000)
    }

    /// A million 2 MiB pages, each in a call of its own: a walk of three levels and a leaf.
    public static func mapLargePages() throws -> Benchmark {
        try map(
            name: "map-2m", summary: "map of one 2M page, 10^6 in a row, beside C -O2", byteCount: 2 << 20,
            pa: 0x2_0000_0000, operations: 1_000_000)
    }

    /// Ranges of 1 GiB that alignment forces into 4 KiB leaves: 512 tables of 512 entries each.
    public static func fillRange() throws -> Benchmark {
        try map(
            name: "range-fill", summary: "map of 1 GiB as 4K leaves, 4 in a row, beside C -O2", byteCount: 1 << 30,
            pa: 0x2_0000_1000, operations: 4, repetitions: 32)
    }

    /// `operations` calls, each the next `byteCount` bytes.
    private static func map(
        name: String, summary: String, byteCount: UInt64, pa: UInt64, operations: Int, repetitions: Int = 1
    ) throws -> Benchmark {
        let ground = try TableGround(frames: 4096)
        return Benchmark(
            name: name, summary: summary, goal: 1.10, repetitions: repetitions,
            subject: Side(
                label: "swift", operations: operations,
                prepare: { try ground.prepareSubject() },
                run: { ground.subjectMap($0, byteCount: byteCount, pa: pa) },
                digest: { ground.subjectDigest() }),
            reference: Side(
                label: "c", operations: operations,
                prepare: { ground.prepareReference() },
                run: { ground.referenceMap($0, byteCount: byteCount, pa: pa) },
                digest: { ground.referenceDigest() }))
    }
}
