import Measurement

extension Benchmark {
    /// The seal of a whole profile, nothing written before it, beside the same records and checksums in one flat file.
    static func sealProfile(_ profile: StoreProfile, name: String) throws -> Benchmark {
        let ground = try ProfileGround(profile)
        return Benchmark(
            name: name,
            summary: "\(profile.summary): seal, nothing pre-copied, beside the same records and checksums in one flat "
                + "file + fdatasync + rename", goal: 2.5, clock: .wall,
            subject: Side(
                label: "seal", operations: 1, prepare: { try ground.prepareSeal() }, run: { _ in try ground.seal() }),
            reference: Side(label: "flat", operations: 1, run: { _ in try ground.writeFlat() }),
            facts: { ["\(ground.recordCount) records, \(ground.fileBytes) bytes; flat \(ground.flatBytes) bytes"] })
    }

    /// The load of a sealed profile, as a restore does it, beside reading and decoding the flat file.
    static func loadProfile(_ profile: StoreProfile, name: String, goal: Double) throws -> Benchmark {
        let ground = try ProfileGround(profile)
        return Benchmark(
            name: name,
            summary: "\(profile.summary): open, verify and decode, beside the same of one flat file", goal: goal,
            clock: .wall,
            subject: Side(label: "load", operations: 1, run: { _ in try ground.load() }),
            reference: Side(label: "flat", operations: 1, run: { _ in ground.loadFlat() }),
            counts: {
                profile.isHostile
                    ? [] : [Count(unit: "bytes", subject: ground.fileBytes, reference: 48_000_000, goal: 1)]
            })
    }

    /// The seal of profile X beside the same records as a flattened device tree.
    public static func sealTree() throws -> Benchmark {
        let ground = try ProfileGround(.x)
        return Benchmark(
            name: "seal-fdt",
            summary:
                "\(StoreProfile.x.summary): seal, nothing pre-copied, beside libfdt's sequential write of the same "
                + "records, a node each, + fdatasync + rename", goal: 0.12, clock: .wall,
            subject: Side(
                label: "seal", operations: 1, prepare: { try ground.prepareSeal() }, run: { _ in try ground.seal() }),
            reference: Side(label: "fdt", operations: 1, run: { _ in try ground.writeTree() }),
            facts: { ["\(ground.recordCount) records, \(ground.fileBytes) bytes; tree \(ground.treeBytes) bytes"] })
    }

    /// The load of a sealed profile X beside a full read of the flattened device tree.
    public static func loadTree() throws -> Benchmark {
        let ground = try ProfileGround(.x)
        return Benchmark(
            name: "load-fdt",
            summary:
                "\(StoreProfile.x.summary): open, verify and decode, beside libfdt's read of every node and property",
            goal: 0.03, clock: .wall,
            subject: Side(label: "load", operations: 1, run: { _ in try ground.load() }),
            reference: Side(label: "fdt", operations: 1, run: { _ in try ground.loadTree() }))
    }

    /// Profile X, sealed whole.
    public static func sealLargest() throws -> Benchmark { try sealProfile(.x, name: "seal-x") }
    /// Profile X, loaded.
    public static func loadLargest() throws -> Benchmark { try loadProfile(.x, name: "load-x", goal: 2.5) }
    /// Profile X of irregular areas and tables, loaded.
    public static func loadHostile() throws -> Benchmark { try loadProfile(.hostile, name: "load-hostile", goal: 4) }
}
