import IOMMUModel
import PageTables

/// Where each table page of one tree stands: the IOVAs that go through it.
///
/// Made only to name a difference, so clarity counts before speed. Each (page, level) is entered once, so damaged
/// trees end; a page used twice at one level is known by its lowest IOVA.
package struct TablePlaces {
    private struct Place: Hashable {
        var page: PhysicalAddress
        var level: Int
    }
    private struct Use {
        var firstIOVA: UInt64
        /// The entry that points to the page; `nil` for the root.
        var pointer: PhysicalAddress?
    }
    private var uses: [Place: Use] = [:]
    private let configuration: PageTableConfiguration

    package init(configuration: PageTableConfiguration, root: PhysicalAddress, memory: MemoryView) {
        self.configuration = configuration
        visit(root.pageBase, level: configuration.topLevel, Use(firstIOVA: 0), memory)
    }

    private mutating func visit(_ page: PhysicalAddress, level: Int, _ use: Use, _ memory: MemoryView) {
        guard uses[Place(page: page, level: level)] == nil, let words = memory.page(at: page) else { return }
        uses[Place(page: page, level: level)] = use
        guard level > 0 else { return }
        for index in 0..<512 where words[index] != 0 {
            let entry = PageTableEntry.decode(words[index], level: level, configuration: configuration)
            guard case .table(let next, let nextLevel) = entry.kind else { continue }
            let below = Use(
                firstIOVA: use.firstIOVA &+ UInt64(index) &<< UInt64(12 + 9 * level),
                pointer: PhysicalAddress(page.rawValue | UInt64(index) &<< 3))
            visit(next, level: nextLevel, below, memory)
        }
    }

    /// What goes through entry `index` of the table `page` at `level`; `nil` when the tree does not reach the page or
    /// the entry lies above the input width.
    package func range(page: PhysicalAddress, level: Int, index: Int) -> IOVARange? {
        guard let base = uses[Place(page: page, level: level)]?.firstIOVA else { return nil }
        let size: UInt64 = 1 &<< UInt64(12 + 9 * level)
        var first = base &+ UInt64(index) &* size
        if configuration.signExtended, first >> UInt64(configuration.addressBits - 1) & 1 != 0 {
            first |= ~0 << UInt64(configuration.addressBits)
        }
        guard configuration.contains(IOVA(first)) else { return nil }
        return IOVARange(first: IOVA(first), bytes: size)
    }

    /// The entry through which the tree first reaches the table `page` at `level`; `nil` for the root.
    func pointer(page: PhysicalAddress, level: Int) -> PhysicalAddress? {
        uses[Place(page: page, level: level)]?.pointer
    }
}
