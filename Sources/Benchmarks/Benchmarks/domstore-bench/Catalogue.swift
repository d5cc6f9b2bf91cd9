import ArgumentParser
import MachineBenchmarks
import Measurement
import PageTableBenchmarks
import StoreBenchmarks

/// A benchmark by name. Made when it is run: each holds its own memory.
struct Catalogue {
    /// As the benchmark calls itself.
    let name: String
    let make: () throws -> Benchmark

    /// In the order of the table.
    static var all: [Catalogue] {
        MeasuredFormat.allCases.flatMap { pageTables(of: $0) }
            + [Catalogue(name: "iotlb-hit") { try .cacheHit() }]
            + ["vtd48", "vtdpasid", "amdv1"].map { image in
                Catalogue(name: "import-\(image)") { try .importImage(image) }
            }
            + [
                Catalogue(name: "import-large") { try .importLargeImage() },
                Catalogue(name: "seal-s") { try .sealSmallHost() },
                Catalogue(name: "seal-x") { try .sealLargest() },
                Catalogue(name: "load-x") { try .loadLargest() },
                Catalogue(name: "load-hostile") { try .loadHostile() },
                Catalogue(name: "seal-fdt") { try .sealTree() },
                Catalogue(name: "load-fdt") { try .loadTree() },
                Catalogue(name: "restore-l") { try .restoreLarge() },
                Catalogue(name: "restore-4k") { try .restoreSmallPages() },
                Catalogue(name: "audit-dense") { try .auditLargest(isDense: true) },
                Catalogue(name: "audit-fragmented") { try .auditLargest(isDense: false) },
                Catalogue(name: "audit-threads") { try .auditOnTwoCores() },
                Catalogue(name: "compare-dense") { try .compareLargest(isDense: true) },
                Catalogue(name: "compare-fragmented") { try .compareLargest(isDense: false) },
                Catalogue(name: "info-s") { try .infoSmall() },
                Catalogue(name: "info-x") { try .infoLargest() },
                Catalogue(name: "blackout-1pct") { try .blackout(dirtyPercent: 1) },
                Catalogue(name: "blackout-idle") { try .blackout(dirtyPercent: 0) },
            ]
    }

    private static func pageTables(of format: MeasuredFormat) -> [Catalogue] {
        func named(_ name: String, _ make: @escaping (MeasuredFormat) throws -> Benchmark) -> Catalogue {
            Catalogue(name: "\(name)-\(format.rawValue)") { try make(format) }
        }
        return [
            named("map-4k", Benchmark.mapSmallPages), named("map-2m", Benchmark.mapLargePages),
            named("range-fill", Benchmark.fillRange),
        ]
            + (format == .amd ? [named("range-fill-64k", Benchmark.fillContiguousRange)] : [])
            + [
                named("translate", Benchmark.translate),
                named("walk-dense") { try .walk($0, .dense) },
                named("walk-fragmented") { try .walk($0, .fragmented) },
            ]
            + (format == .amd ? [named("walk-mixed") { try .walk($0, .mixed) }] : [])
    }
}

extension Catalogue: ExpressibleByArgument {
    init?(argument: String) {
        guard let found = Self.all.first(where: { $0.name == argument }) else { return nil }
        self = found
    }

    static var allValueStrings: [String] { all.map(\.name) }
}
