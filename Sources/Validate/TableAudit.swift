import IOMMUModel
import PageTables
import Snapshot

/// Recorded table pages of one domain against the words in memory.
package struct TableAudit {
    /// Table pages compared.
    var pages = 0
    /// Differing words in all, also those not listed.
    package private(set) var differenceCount = 0
    /// The first ones, in the order of addresses, at most the limit.
    package private(set) var differences: [TableDifference] = []

    /// Streams over the recorded runs; nothing is decoded unless a page differs. O(tables).
    ///
    /// - Parameters:
    ///   - mask: bits that the hardware may have changed.
    ///   - isKnown: answers true of a page, by its number, of which it is known that nothing differs.
    ///   - places: called once, when the first difference has to be named.
    package init(
        _ recorded: PageSet, memory: MemoryView, ignoring mask: UInt64, limit: Int,
        except isKnown: (Int) -> Bool = { _ in false }, places: () -> TablePlaces?
    ) {
        let scratch = UnsafeMutablePointer<UInt64>.allocate(capacity: PageRuns.wordCount)
        defer { scratch.deallocate() }
        var known: TablePlaces??
        func place(_ page: PhysicalAddress, _ level: Int, _ index: Int) -> IOVARange? {
            if known == nil { known = .some(places()) }
            return known??.range(page: page, level: level, index: index)
        }
        for (number, entry) in recorded.entries.enumerated() {
            pages += 1
            if isKnown(number) { continue }
            let level = Int(entry.level)
            guard let words = memory.page(at: entry.address) else {
                differenceCount += 1
                if differences.count < limit {
                    // Named by the first entry that is in use.
                    recorded.decode(number, into: scratch)
                    let index = (0..<PageRuns.wordCount).first { scratch[$0] != 0 } ?? 0
                    differences.append(
                        TableDifference(
                            entryAddress: entry.address, level: level, range: place(entry.address, level, index),
                            recorded: scratch[index], found: nil))
                }
                continue
            }
            if recorded.withEncoded(number, { PageRuns.matches($0, words, ignoring: mask) }) { continue }
            recorded.decode(number, into: scratch)
            for index in 0..<PageRuns.wordCount where (words[index] ^ scratch[index]) & ~mask != 0 {
                differenceCount += 1
                guard differences.count < limit else { continue }
                differences.append(
                    TableDifference(
                        entryAddress: PhysicalAddress(entry.address.rawValue | UInt64(index) << 3), level: level,
                        range: place(entry.address, level, index), recorded: scratch[index], found: words[index]))
            }
        }
    }
}
