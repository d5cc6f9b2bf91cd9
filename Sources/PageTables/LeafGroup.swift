import IOMMUModel

/// A leaf with all its items: the one word of most leaves, the slots of a contiguous one (AMD v1).
///
/// The hardware sets accessed and dirty bits in whichever item it used, so that only all of them together tell.
public struct LeafGroup: Sendable, Hashable {
    /// Of the first item.
    public let entryAddress: PhysicalAddress
    /// At least 1; the items stand side by side in one table. An item that holds its own address (Armv8) is alone.
    public let itemCount: Int
    /// The leaf maps `2^pageSizeLog2` bytes.
    public let pageSizeLog2: Int
    /// What all items hold, accessed and dirty bits aside. One that holds something else is no item of this leaf.
    private let word: UInt64
    private let accessedBit: UInt64
    private let dirtyBit: UInt64

    init<Format: PageTableFormat>(
        _ format: Format.Type, _ word: UInt64, at place: WalkPlace, _ rules: EntryRules
    ) {
        let index = Int(place.entry & 0xfff) >> 3
        let slots = LeafItems.slots(of: format, word, at: index, level: place.level, rules)
        entryAddress = PhysicalAddress(place.entry & ~0xfff | UInt64(slots.lowerBound) << 3)
        itemCount = slots.count
        pageSizeLog2 = Int(Format.leafSizeLog2(word, level: place.level, rules))
        self.word = word & LeafItems.mask(of: format)
        accessedBit = Format.accessedBit
        dirtyBit = Format.dirtyBit
    }

    /// True when the hardware used any item.
    public func isAccessed(memory: MemoryView) -> Bool { items(memory).contains { $0.word & accessedBit != 0 } }

    /// True when the hardware wrote through any item.
    public func isDirty(memory: MemoryView) -> Bool { items(memory).contains { $0.word & dirtyBit != 0 } }

    /// Clears the dirty bits of all items; true when there was one. The IOTLB is the caller's concern.
    @discardableResult
    public func clean(memory: MemoryView) -> Bool {
        var wasDirty = false
        for item in items(memory) where item.word & dirtyBit != 0 {
            wasDirty = memory.setWord(item.word & ~dirtyBit, at: item.address) || wasDirty
        }
        return wasDirty
    }

    private func items(_ memory: MemoryView) -> [(address: PhysicalAddress, word: UInt64)] {
        (0..<itemCount).compactMap { number in
            guard let address = entryAddress.offset(by: UInt64(number) * 8), let found = memory.word(at: address),
                found & ~(accessedBit | dirtyBit) == word
            else { return nil }
            return (address, found)
        }
    }
}

extension Walker {
    /// The leaf that maps `iova`, whoever may use it; `nil` when none does.
    public static func leaf(_ stage: TranslationStage, memory: MemoryView, iova: IOVA) -> LeafGroup? {
        switch stage.configuration.format {
        case .vtdSecondStage: leaf(VTDSecondStage.self, stage, memory, iova)
        case .amdV1: leaf(AMDv1.self, stage, memory, iova)
        case .x86_64: leaf(X86_64.self, stage, memory, iova)
        case .armv8Stage2: leaf(Armv8Stage2.self, stage, memory, iova)
        }
    }

    private static func leaf<Format: PageTableFormat>(
        _ format: Format.Type, _ stage: TranslationStage, _ memory: MemoryView, _ iova: IOVA
    ) -> LeafGroup? {
        let rules = stage.configuration.rules
        let end = FormatWalker<Format>.find(
            stage.configuration, root: stage.root.pageBase.rawValue, pages: HostPages(), memory: memory,
            iova: iova.rawValue)
        guard case .word(let word, let place, _) = end,
            case .leaf = Format.kind(word, level: place.level, rules)
        else { return nil }
        return LeafGroup(format, word, at: place, rules)
    }
}
