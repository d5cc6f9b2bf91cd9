import Measurement
import PageTableBenchmarks
import StoreBenchmarks

/// Every benchmark by name, in the order of the table. Made when it is run: each holds its own memory.
enum Catalogue: String, CaseIterable {
    case mapSmallPages = "map-4k"
    case mapLargePages = "map-2m"
    case fillRange = "range-fill"
    case translate
    case sealSmallHost = "seal-s"

    func make() throws -> Benchmark {
        switch self {
        case .mapSmallPages: try .mapSmallPages()
        case .mapLargePages: try .mapLargePages()
        case .fillRange: try .fillRange()
        case .translate: try .translate()
        case .sealSmallHost: try .sealSmallHost()
        }
    }
}
