import IOMMUModel
import PageTables
import Snapshot

/// The recorded lookup and table pages of a snapshot as physical memory: each page once, in one region.
///
/// A page that no record holds is absent, as it is from a memory image. Pages that leaves map and that only look like
/// tables (``LookupLevel/mappedTable``) are in the memory, and no pages of the machine's structures.
struct RecordedMemory: Sendable {
    let memory: PhysicalMemory
    /// The recorded pages of tables and lookup structures, ascending, each once.
    let pages: [PhysicalAddress]
    /// Pages that are recorded more than once with different content; the first record counts.
    let conflicts: [PhysicalAddress]

    /// Decodes every page once. O(pages log pages).
    init(_ snapshot: Snapshot) throws(MemoryError) {
        let sets = snapshot.lookupPages.map(\.pages) + snapshot.tablePages.map(\.pages)
        var places: [(address: PhysicalAddress, set: Int, index: Int, isStructure: Bool)] = []
        places.reserveCapacity(sets.reduce(0) { $0 + $1.count })
        for (number, set) in sets.enumerated() {
            let isLookup = number < snapshot.lookupPages.count
            for (index, entry) in set.entries.enumerated() {
                let isStructure = !isLookup || entry.level != LookupLevel.mappedTable
                places.append((entry.address.pageBase, number, index, isStructure))
            }
        }
        places.sort { ($0.address, $0.set, $0.index) < ($1.address, $1.set, $1.index) }

        var memory = PhysicalMemory()
        var pages: [PhysicalAddress] = []
        var structures: [PhysicalAddress] = []
        var conflicts: [PhysicalAddress] = []
        if !places.isEmpty {
            let region = try MappedRegion.anonymous(bytes: places.count * 4096)
            let scratch = UnsafeMutablePointer<UInt64>.allocate(capacity: PageRuns.wordCount)
            defer { scratch.deallocate() }
            for place in places {
                let again = pages.last == place.address
                let slot = again ? pages.count - 1 : pages.count
                let words = (region.base + slot * 4096).assumingMemoryBound(to: UInt64.self)
                if again {
                    sets[place.set].decode(place.index, into: scratch)
                    if !Self.equal(words, scratch), conflicts.last != place.address {
                        conflicts.append(place.address)
                    }
                } else {
                    sets[place.set].decode(place.index, into: words)
                    pages.append(place.address)
                }
                if place.isStructure, structures.last != place.address { structures.append(place.address) }
            }
            // One segment per stretch of consecutive pages.
            var start = 0
            while start < pages.count {
                var end = start + 1
                while end < pages.count, pages[end].page == pages[end - 1].page &+ 1 { end += 1 }
                try memory.add(
                    at: pages[start], byteCount: UInt64(end - start) * 4096, region: region, regionOffset: start * 4096)
                start = end
            }
        }
        self.memory = memory
        self.pages = structures
        self.conflicts = conflicts
    }

    private static func equal(_ a: UnsafePointer<UInt64>, _ b: UnsafePointer<UInt64>) -> Bool {
        for index in 0..<PageRuns.wordCount where a[index] != b[index] { return false }
        return true
    }

    /// The index in ``pages`` of the first page at or after `address`.
    func firstPage(from address: PhysicalAddress) -> Int {
        var low = 0
        var high = pages.count
        while low < high {
            let middle = (low + high) / 2
            if pages[middle] < address { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func holds(_ page: PhysicalAddress) -> Bool {
        let index = firstPage(from: page.pageBase)
        return index < pages.count && pages[index] == page.pageBase
    }
}
