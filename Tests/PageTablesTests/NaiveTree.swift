import IOMMUModel
import PageTables

/// The oracle of the scan: visits every entry of every path, one after the other, and remembers nothing.
struct NaiveTree {
    var leaves: [TranslatedLeafValue] = []
    /// Entry addresses by the kind of defect, without repetition; what the word itself is, without those of pages.
    var defects: [String: Set<UInt64>] = [:]
    /// For every (page, level): the entries that point to it (root: `.max`).
    var uses: [UInt64: [Int: Set<UInt64>]] = [:]

    struct TranslatedLeafValue: Equatable {
        var iova: UInt64
        var pa: UInt64
        var log2: Int
        var protection: Protection
    }

    init(_ configuration: PageTableConfiguration, root: PhysicalAddress, memory: PhysicalMemory) {
        visit(configuration, memory, root, configuration.topLevel, 0, configuration.rootProtection, entry: .max)
    }

    private mutating func add(_ kind: String, _ entry: UInt64) { defects[kind, default: []].insert(entry) }

    private mutating func visit(
        _ configuration: PageTableConfiguration, _ memory: PhysicalMemory, _ page: PhysicalAddress, _ level: Int,
        _ base: UInt64, _ rights: Protection, entry: UInt64
    ) {
        guard let words = memory.page(at: page) else { return add("absentPage", entry) }
        uses[page.rawValue, default: [:]][level, default: []].insert(entry)
        let end = 1 + Int(min(511, (linearLast(configuration) - base) >> UInt64(12 + 9 * level)))
        let groups = Groups(words, end: end, level: level, configuration)
        for slot in groups.differing { add("contiguousDiffers", page.rawValue + UInt64(slot) * 8) }
        for index in 0..<end where words[index] != 0 {
            let iova = base + UInt64(index) << UInt64(12 + 9 * level)
            let address = page.rawValue + UInt64(index) * 8
            let decoded = PageTableEntry.decode(
                words[index], level: level, index: index, configuration: configuration)
            let narrowed = decoded.isUser ? rights.intersection(decoded.protection) : []
            for name in decoded.lints.names { add(name, address) }
            switch decoded.kind {
            case .empty: break
            case .invalid(let fault): add(fault.rawValue, address)
            case .table(let next, let nextLevel):
                visit(configuration, memory, next, nextLevel, iova, narrowed, entry: address)
            case .leaf(let pa, let log2):
                if narrowed.isEmpty { continue }
                var leaf = TranslatedLeafValue(
                    iova: signed(iova, configuration), pa: pa.rawValue, log2: log2, protection: narrowed)
                if configuration.format == .armv8Stage2 {
                    // Every item has its own address.
                    leaf.log2 = 12 + 9 * level
                } else if decoded.itemCount > 1 {
                    // A whole one is told at its first item, the others each for itself.
                    let group = index & ~(decoded.itemCount - 1)
                    if groups.whole.contains(group..<group + decoded.itemCount) {
                        if index > group { continue }
                    } else {
                        leaf.pa += iova & ((1 << UInt64(log2)) - 1)
                        leaf.log2 = 12 + 9 * level
                    }
                }
                leaves.append(leaf)
            }
        }
    }

    /// The last input address without its sign bits.
    private func linearLast(_ configuration: PageTableConfiguration) -> UInt64 {
        .max >> UInt64(64 - configuration.addressBits)
    }

    private func signed(_ linear: UInt64, _ configuration: PageTableConfiguration) -> UInt64 {
        let sign: UInt64 = 1 << UInt64(configuration.addressBits - 1)
        return configuration.signExtended && linear & sign != 0 ? linear | ~linearLast(configuration) : linear
    }

    /// The contiguous leaves of one page.
    private struct Groups {
        /// Those whose items are all alike, accessed and dirty bits aside.
        var whole: Set<Range<Int>> = []
        /// Of each other one the first item that differs from the first one found of it.
        var differing: [Int] = []

        init(_ words: UnsafeMutablePointer<UInt64>, end: Int, level: Int, _ configuration: PageTableConfiguration) {
            if configuration.format == .armv8Stage2 { return }
            var judged = 0
            for index in 0..<end where words[index] != 0 {
                let entry = PageTableEntry.decode(words[index], level: level, configuration: configuration)
                guard case .leaf = entry.kind, entry.itemCount > 1 else { continue }
                let first = index & ~(entry.itemCount - 1)
                let slots = first..<first + entry.itemCount
                let other = slots.first { $0 < end && (words[$0] ^ words[index]) & ~0x60 != 0 }
                if other == nil, slots.upperBound <= end { whole.insert(slots) }
                if let other, index >= judged { differing.append(other) }
                judged = max(judged, slots.upperBound)
            }
        }
    }

    /// The leaves, merged.
    var runs: [TranslatedRun] {
        var runs: [TranslatedRun] = []
        for leaf in leaves {
            let last = IOVA(leaf.iova + ((1 << UInt64(leaf.log2)) - 1))
            if let run = runs.last, run.range.last.rawValue &+ 1 == leaf.iova, run.protection == leaf.protection,
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
