import CReference
import IOMMUModel
import Measurement
import PageTables

extension Benchmark {
    /// A whole tree decoded and all its runs told, beside the plain sum of the words of its tables.
    ///
    /// The goals are half and 0.3 of the speed at which memory is read; for mixed sizes of leaves there is none.
    public static func walk(_ format: MeasuredFormat, _ shape: MappedRuns) throws -> Benchmark {
        let gibibytes: UInt64 = 64
        let ground = try TableGround(format, frames: 512 * Int(gibibytes) + 256)
        ground.prepareReference()
        ground.referenceMap(shape, gibibytes: gibibytes)
        let tables = ground.referenceFrames
        return Benchmark(
            name: "walk-\(shape.rawValue)-\(format.rawValue)",
            summary: "\(format.title): scan of \(tables) \(shape.rawValue) tables and all their runs, per table, "
                + "beside the sum of their words in C",
            goal: shape.walkGoal,
            subject: Side(
                label: "walk", operations: tables,
                run: { _ in
                    var runs: UInt64 = 0
                    let tree = ground.scan()
                    tree.forEachRun { run in
                        runs &+= 1
                        return true
                    }
                    return runs > 0 ? UInt64(tree.nodeCount) : 0
                },
                digest: {
                    var digest = Digest()
                    ground.scan().forEachRun { run in
                        digest.mix(run.range.first.rawValue)
                        digest.mix(run.pa.rawValue)
                        digest.mix(run.range.lastOffset + 1)
                        return true
                    }
                    return digest.value
                }),
            reference: Side(
                label: "sum", operations: tables,
                run: { _ in ref_sum(ground.referenceWords, tables * 512) == 0 ? 0 : UInt64(tables) },
                digest: {
                    var digest = Digest()
                    for run in shape.runs(gibibytes: gibibytes) {
                        digest.mix(run.iova)
                        digest.mix(run.pa)
                        digest.mix(run.byteCount)
                    }
                    return digest.value
                }))
    }
}

extension MappedRuns {
    fileprivate var walkGoal: Double? {
        switch self {
        case .dense: 2
        case .fragmented: 1 / 0.3
        case .mixed: nil
        }
    }
}

extension TableGround {
    /// Decodes the tree of the side of C.
    fileprivate func scan() -> TableTree {
        Walker.scan(configuration, root: PhysicalAddress(referenceRoot), memory: memory.view)
    }
}
