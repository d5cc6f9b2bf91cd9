import Measurement

extension Benchmark {
    /// A million 4 KiB pages, each in a call of its own: a walk of four levels and a leaf.
    public static func mapSmallPages(_ format: MeasuredFormat) throws -> Benchmark {
        try map(
            format, name: "map-4k", summary: "map of one 4K page, 10^6 in a row", byteCount: 4096, pa: 0x2_0000_0000,
            operations: 1_000_000)
    }

    /// A million 2 MiB pages, each in a call of its own: a walk of three levels and a leaf.
    public static func mapLargePages(_ format: MeasuredFormat) throws -> Benchmark {
        try map(
            format, name: "map-2m", summary: "map of one 2M page, 10^6 in a row", byteCount: 2 << 20,
            pa: 0x2_0000_0000, operations: 1_000_000)
    }

    /// Ranges of 1 GiB that alignment forces into 4 KiB leaves: 512 tables of 512 entries each.
    public static func fillRange(_ format: MeasuredFormat) throws -> Benchmark {
        try map(
            format, name: "range-fill", summary: "map of 1 GiB as 4K leaves, 4 in a row", byteCount: 1 << 30,
            pa: 0x2_0000_1000, operations: 4, repetitions: 32)
    }

    /// Ranges of 1 GiB that alignment cuts into leaves of 64 KiB: 16 equal entries each in a format that has such leaves.
    public static func fillContiguousRange(_ format: MeasuredFormat) throws -> Benchmark {
        try map(
            format, name: "range-fill-64k", summary: "map of 1 GiB as 64K leaves of 16 slots, 4 in a row",
            byteCount: 1 << 30, pa: 0x2_0001_0000, operations: 4, repetitions: 32)
    }

    /// `operations` calls, each the next `byteCount` bytes.
    private static func map(
        _ format: MeasuredFormat, name: String, summary: String, byteCount: UInt64, pa: UInt64, operations: Int,
        repetitions: Int = 1
    ) throws -> Benchmark {
        let ground = try TableGround(format, frames: 4096)
        return Benchmark(
            name: "\(name)-\(format.rawValue)", summary: "\(format.title): \(summary), beside C -O2", goal: 1.10,
            repetitions: repetitions, countsInstructions: true,
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
