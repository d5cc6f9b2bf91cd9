import IOMMUModel
import PageTables
import Snapshot

/// What hardware writes into tables while it walks them: in no journal, for DMA is in none.
enum HardwareBits {
    /// Puts the words of `recorded`'s table pages into `memory` where nothing but such bits tells them apart.
    static func take(from recorded: Snapshot, into memory: PhysicalMemory) {
        var masks: [DomainID: UInt64] = [:]
        for place in recorded.domainUnits { masks[place.domain, default: 0] |= place.tables?.hardwareUpdatedMask ?? 0 }
        let words = UnsafeMutablePointer<UInt64>.allocate(capacity: PageRuns.wordCount)
        defer { words.deallocate() }
        for domain in recorded.tablePages {
            guard let mask = masks[domain.domain], mask != 0 else { continue }
            for (index, entry) in domain.pages.entries.enumerated() {
                guard let page = memory.page(at: entry.address) else { continue }
                domain.pages.decode(index, into: words)
                for word in 0..<PageRuns.wordCount where (page[word] ^ words[word]) & ~mask == 0 {
                    page[word] = words[word]
                }
            }
        }
    }
}
