import IOMMUModel
import PageTables
import Snapshot
import Testing

@testable import Import

/// Scans of several domains at once beside the same one after the other.
struct TableScanTests {
    private static let tablesPerDomain = 402
    private static let domains = 5

    /// Domains of three levels: a root, one table below it, and 400 of the lowest level with three areas each.
    private static func memory() throws -> (memory: PhysicalMemory, stages: [TranslationStage]) {
        let base: UInt64 = 0x4000_0000
        let bytes = domains * tablesPerDomain * 4096
        let region = try MappedRegion.anonymous(bytes: bytes)
        let words = region.base.assumingMemoryBound(to: UInt64.self)
        let configuration = try #require(PageTableConfiguration(topLevel: 2, hostAddressWidth: 40))
        var stages: [TranslationStage] = []
        for domain in 0..<domains {
            let first = domain * tablesPerDomain
            func address(_ table: Int) -> UInt64 { base + UInt64(first + table) << 12 }
            words[first * 512] = address(1) | 3
            for table in 0..<400 {
                words[(first + 1) * 512 + table] = address(table + 2) | 3
                for index in 0..<300 {
                    let run = UInt64(index / 100)
                    words[(first + table + 2) * 512 + index + index / 100] =
                        0x10_0000_0000 + UInt64(table) << 22 + run << 21 + UInt64(index) << 12 | 3
                }
            }
            stages.append(TranslationStage(configuration: configuration, root: PhysicalAddress(address(0))))
        }
        var memory = PhysicalMemory()
        try memory.add(at: PhysicalAddress(base), byteCount: UInt64(bytes), region: region)
        return (memory, stages)
    }

    @Test(
        arguments: [
            (.max, .max), (0, .max), (1, 10), (402, .max), (1_100, .max), (1_300, .max), (2_010, .max), (2_009, .max),
            (.max, 1_601), (.max, 1_602), (.max, 6_000), (1_500, 5_000),
        ] as [(Int, Int)])
    func `many domains within a budget are what one after the other are`(pages: Int, runs: Int) throws {
        let (memory, stages) = try Self.memory()
        let budget = TableScan.Budget(pages: pages, runs: runs)
        var left = budget
        var wanted: [TableScan] = []
        for stage in stages {
            wanted.append(TableScan(stage, memory: memory.view, budget: left))
            left -= wanted[wanted.count - 1].spent
        }
        for _ in 0..<10 {
            let found = TableScan.all(stages, memory: memory.view, budget: budget)
            #expect(found.map(\.pages) == wanted.map(\.pages))
            #expect(found.map(\.areas) == wanted.map(\.areas))
        }
        if budget == .init(pages: .max, runs: .max) {
            #expect(wanted.allSatisfy { $0.pages.count == Self.tablesPerDomain && $0.areas.count == 1_200 })
        } else {
            #expect(
                wanted.contains { $0.pages.count < Self.tablesPerDomain || $0.areas.count < 1_200 } || pages == 2_010)
        }
    }
}
