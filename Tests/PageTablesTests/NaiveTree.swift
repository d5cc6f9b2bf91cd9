import IOMMUModel
import PageTables

/// The oracle of the scan: visits every entry of every path, one after the other, and remembers nothing.
struct NaiveTree {
    var leaves: [TranslatedLeafValue] = []
    /// Entry addresses by the kind of defect, without repetition.
    var reserved: Set<UInt64> = []
    var notPresent: Set<UInt64> = []
    var absent: Set<UInt64> = []
    /// For every (page, level): the entries that point to it (root: `.max`).
    var uses: [UInt64: [Int: Set<UInt64>]] = [:]

    struct TranslatedLeafValue: Equatable {
        var iova: UInt64
        var pa: UInt64
        var log2: Int
        var protection: Protection
    }

    init(_ configuration: PageTableConfiguration, root: PhysicalAddress, memory: PhysicalMemory) {
        visit(configuration, memory, root, configuration.topLevel, 0, .readWrite, entry: .max)
    }

    private mutating func visit(
        _ configuration: PageTableConfiguration, _ memory: PhysicalMemory, _ page: PhysicalAddress, _ level: Int,
        _ base: UInt64, _ rights: Protection, entry: UInt64
    ) {
        guard let words = memory.page(at: page) else {
            absent.insert(entry)
            return
        }
        uses[page.rawValue, default: [:]][level, default: []].insert(entry)
        for index in 0..<512 where words[index] != 0 {
            let iova = base + UInt64(index) << UInt64(12 + 9 * level)
            guard iova <= configuration.lastIOVA.rawValue else { break }
            let address = page.rawValue + UInt64(index) * 8
            let decoded = PageTableEntry.decode(words[index], level: level, configuration: configuration)
            let narrowed = rights.intersection(decoded.protection)
            switch decoded.kind {
            case .empty: notPresent.insert(address)
            case .invalid: reserved.insert(address)
            case .table(let next, _):
                visit(configuration, memory, next, level - 1, iova, narrowed, entry: address)
            case .leaf(let pa, let log2):
                if !narrowed.isEmpty {
                    leaves.append(.init(iova: iova, pa: pa.rawValue, log2: log2, protection: narrowed))
                }
            }
        }
    }

    /// The leaves, merged.
    var runs: [TranslatedRun] {
        var runs: [TranslatedRun] = []
        for leaf in leaves {
            let last = IOVA(leaf.iova + (1 << UInt64(leaf.log2)) - 1)
            if let run = runs.last, run.range.last.rawValue + 1 == leaf.iova, run.protection == leaf.protection,
                run.pa.rawValue + run.range.lastOffset + 1 == leaf.pa
            {
                runs[runs.count - 1] = TranslatedRun(
                    range: IOVARange(first: run.range.first, last: last)!, pa: run.pa, protection: run.protection)
            } else {
                runs.append(
                    TranslatedRun(
                        range: IOVARange(first: IOVA(leaf.iova), last: last)!, pa: PhysicalAddress(leaf.pa),
                        protection: leaf.protection))
            }
        }
        return runs
    }
}
