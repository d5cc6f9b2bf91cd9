import IOMMUModel
import Measurement

/// What input addresses are mapped to in a benchmark: runs that do not continue each other, read and write.
public enum MappedRuns: String {
    /// Each GiB is one run: every table is full of one run.
    case dense
    /// Runs of 1 to 64 pages to anywhere: some 16 a table, all in 4 KiB pages.
    case fragmented
    /// As fragmented, but as aligned as chance has it: of a format with leaves of several slots, every other run has some.
    case mixed

    /// The runs that fill `gibibytes` GiB from input address 0 on, ascending.
    func runs(gibibytes: UInt64) -> [(iova: UInt64, pa: UInt64, byteCount: UInt64)] {
        let end = gibibytes << 30
        switch self {
        case .dense:
            // Never aligned to more than 4 KiB, and never where the run before ends.
            let stride: UInt64 = 1 << 30 | 1 << 24
            return (0..<gibibytes).map { number in (number << 30, 0x2_0000_1000 + number * stride, 1 << 30) }
        case .fragmented, .mixed:
            var random = SplitMix(seed: 0x5eed)
            var runs: [(iova: UInt64, pa: UInt64, byteCount: UInt64)] = []
            var iova: UInt64 = 0
            while iova < end {
                let byteCount = min((random.next() % 64 + 1) << 12, end - iova)
                var pa = (random.next() % (1 << 30)) << 12
                // Never aligned to more than 4 KiB together.
                if self == .fragmented { pa = pa & ~0x1000 | ~iova & 0x1000 }
                if let last = runs.last, last.pa + last.byteCount == pa { pa += 8192 }
                runs.append((iova, pa, byteCount))
                iova += byteCount
            }
            return runs
        }
    }
}

extension TableGround {
    /// Maps `gibibytes` GiB in the tree of the side of C, which has mapped nothing there yet.
    public func referenceMap(_ shape: MappedRuns, gibibytes: UInt64) {
        for run in shape.runs(gibibytes: gibibytes) {
            let errors = referenceMap(1, byteCount: run.byteCount, iova: run.iova, pa: run.pa)
            precondition(errors == 0, "the tables could not be built")
        }
    }
}
