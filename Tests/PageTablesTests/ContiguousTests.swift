import IOMMUModel
import PageTables
import Testing

/// Leaves of several slots (AMD v1): KUnit `test_entry_oa` and `test_dirty`, and what damage does to them.
struct ContiguousTests {
    static let shape = Shape("amdv1", .init(format: .amdV1, topLevel: 5, accessedDirty: true))
    static let sizes = shape.sizes

    /// A leaf of `2^log2` bytes at its second multiple, and the page and slots that it stands in.
    static func mapped(_ log2: Int) throws -> (TestDomain, page: PhysicalAddress, slots: Range<Int>) {
        let domain = try TestDomain(shape.configuration)
        let size: UInt64 = 1 << UInt64(log2)
        try domain.map(size, shape.dense(log2), size)
        let step = try #require(domain.trace(size).steps.last)
        let first = Int(step.entryAddress.pageOffset / 8)
        return (domain, step.entryAddress.pageBase, first..<first + step.entry.itemCount)
    }

    @Test(arguments: sizes)
    func `Every item is the same leaf, and clearing one removes all`(log2: Int) throws {
        let (domain, page, slots) = try Self.mapped(log2)
        let level = Shape.level(ofSize: log2)
        #expect(slots.count == 1 << (log2 - 12 - 9 * level))
        #expect(slots.lowerBound % slots.count == 0)
        for slot in slots {
            let entry = PageTableEntry.decode(
                domain.machine.get(page, slot), level: level, configuration: domain.configuration)
            #expect(entry.kind == .leaf(PhysicalAddress(Self.shape.dense(log2)), pageSizeLog2: log2))
            #expect(entry.lints == [] && entry.itemCount == slots.count)
        }
        let size: UInt64 = 1 << UInt64(log2)
        #expect(domain.unmap(size + size / 2 & ~0xfff, 4096) == size)
        #expect(slots.allSatisfy { domain.machine.get(page, $0) == 0 })
    }

    @Test(arguments: sizes)
    func `Any one item that was used makes the leaf dirty, and cleaning cleans all`(log2: Int) throws {
        let (domain, page, slots) = try Self.mapped(log2)
        let size: UInt64 = 1 << UInt64(log2)
        let stage = TranslationStage(configuration: domain.configuration, root: domain.table.root)
        for slot in [slots.lowerBound, slots.upperBound - 1, slots.lowerBound + slots.count / 2] {
            let iova = size + UInt64(slot - slots.lowerBound) << UInt64(12 + 9 * Shape.level(ofSize: log2))
            let group = try #require(Walker.leaf(stage, memory: domain.view, iova: IOVA(iova)))
            #expect(group.itemCount == slots.count && group.pageSizeLog2 == log2)
            #expect(group.entryAddress == page.offset(by: UInt64(slots.lowerBound) * 8))
            #expect(!group.isDirty(memory: domain.view))
            let before = slots.map { domain.machine.get(page, $0) }
            #expect(Walker.translate(stage, memory: domain.view, iova: IOVA(iova), access: .write).translation != nil)
            let changed = slots.filter { domain.machine.get(page, $0) != before[$0 - slots.lowerBound] }
            #expect(changed == [slot], "the hardware marks the item that it used")
            #expect(group.isDirty(memory: domain.view) && group.isAccessed(memory: domain.view))
            // Found through another item, the leaf is the same.
            #expect(Walker.leaf(stage, memory: domain.view, iova: IOVA(size)) == group)
            #expect(group.clean(memory: domain.view))
            #expect(!group.isDirty(memory: domain.view) && group.isAccessed(memory: domain.view))
            #expect(!group.clean(memory: domain.view))
        }
        #expect(domain.scan().defects == [], "accessed and dirty bits are no difference")
        #expect(domain.leaves().map(\.log2) == [log2])
    }

    @Test func `A leaf whose items differ is told once, and item by item`() throws {
        let (domain, page, slots) = try Self.mapped(15)
        let word = domain.machine.get(page, slots.lowerBound)
        let base = Self.shape.dense(15)
        // Cleared, another address, read only.
        let other = [0, Self.shape.leaf(base + 0x10_0000, 15), Self.shape.leaf(base, 15, .read)]
        for (slot, damage) in zip([1, 3, 0], other) {
            domain.machine.set(page, slots.lowerBound + slot, damage)
            let tree = domain.scan()
            #expect(tree.defects.map(\.kind) == [.contiguousDiffers(pageSizeLog2: 15)])
            // The first item is what the others are compared with.
            let told = UInt64(slots.lowerBound + max(slot, 1))
            #expect(tree.defects.first?.entryAddress == page.offset(by: told * 8))
            for item in 0..<8 {
                let iova = 0x8000 + UInt64(item) << 12
                let wanted = item == slot ? damage : word
                let entry = PageTableEntry.decode(wanted, level: 0, configuration: domain.configuration)
                if case .leaf(let address, _) = entry.kind {
                    #expect(domain.read(iova) == address.rawValue + UInt64(item) << 12)
                } else {
                    #expect(domain.read(iova) == nil)
                }
            }
            #expect(domain.leaves().map(\.log2) == Array(repeating: 12, count: damage == 0 ? 7 : 8))
            domain.machine.set(page, slots.lowerBound + slot, word)
        }
        domain.machine.set(page, slots.lowerBound + 2, Self.shape.leaf(base + 0x40_0000, 13))
        domain.machine.set(page, slots.lowerBound + 3, Self.shape.leaf(base + 0x40_0000, 13))
        #expect(domain.scan().defects.map(\.entryAddress) == [page.offset(by: UInt64(slots.lowerBound + 2) * 8)])
        #expect(domain.leaves().map(\.log2) == [12, 12, 13, 12, 12, 12, 12])
        // Removed as a whole, but for what is of another leaf.
        #expect(domain.unmap(0x8000, 4096) == 6 << 12)
        #expect(domain.leaves().map(\.log2) == [13])
    }
}
