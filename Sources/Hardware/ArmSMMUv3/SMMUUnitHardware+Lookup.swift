import IOMMUModel
import PageTables

/// From a StreamID to its stream table entry (IHI 0070 3.3.1).
extension SMMUUnitHardware {
    /// Where the search for an entry ends.
    package enum Place {
        case entry(SMMUStreamTableEntry, PhysicalAddress)
        /// The table has none for it; the descriptor that says so, where there is one.
        case noEntry(PhysicalAddress?)
        case absent(page: PhysicalAddress)
    }

    /// The entry of `rid`.
    package func find(_ rid: UInt16, memory: MemoryView) -> Place {
        guard UInt64(rid) >> UInt64(registers.streamBits) == 0 else { return .noEntry(nil) }
        guard registers.isTwoLevel else {
            return entry(UInt64(rid), of: registers.streamTable, memory: memory)
        }
        let place = descriptorAddress(Int(rid) >> registers.split)
        guard let word = memory.word(at: place) else { return .absent(page: place.pageBase) }
        let descriptor = SMMUStreamTableDescriptor(rawValue: word)
        let index = Int(rid) & ((1 << registers.split) - 1)
        guard index < descriptor.entryCount(split: registers.split) else { return .noEntry(place) }
        return entry(UInt64(index), of: descriptor.array(split: registers.split), memory: memory)
    }

    /// Where the descriptor of level 1 with that index is.
    package func descriptorAddress(_ index: Int) -> PhysicalAddress {
        PhysicalAddress(registers.streamTable.rawValue &+ UInt64(index) &* 8)
    }

    /// Entry `index` of the array at `array`.
    func entry(_ index: UInt64, of array: PhysicalAddress, memory: MemoryView) -> Place {
        let address = PhysicalAddress(array.rawValue &+ index &* SMMUStreamTableEntry.byteCount)
        guard let words = memory.page(at: address) else { return .absent(page: address.pageBase) }
        return .entry(Self.entry(in: words, at: Int(truncatingIfNeeded: address.pageOffset &>> 3)), address)
    }

    /// The entry whose first word is `words[first]`.
    static func entry(in words: UnsafePointer<UInt64>, at first: Int) -> SMMUStreamTableEntry {
        SMMUStreamTableEntry(
            word0: words[first], word1: words[first &+ 1], word2: words[first &+ 2], word3: words[first &+ 3])
    }

    /// The entries that the hardware reads for `rid`, from the stream table on, up to the first that it stops at.
    public func steps(_ rid: UInt16, memory: MemoryView) -> [LookupStep] {
        var steps: [LookupStep] = []
        guard UInt64(rid) >> UInt64(registers.streamBits) == 0 else { return [] }
        if registers.isTwoLevel {
            let place = descriptorAddress(Int(rid) >> registers.split)
            guard let word = memory.word(at: place) else { return [] }
            let layout = SMMUStreamTableDescriptor.layout
            steps.append(
                LookupStep(layout: layout, address: place, words: [word], violations: layout.violations([word])))
        }
        guard case .entry(_, let address) = find(rid, memory: memory), let page = memory.page(at: address) else {
            return steps
        }
        let first = Int(truncatingIfNeeded: address.pageOffset &>> 3)
        let words = (0..<SMMUStreamTableEntry.wordCount).map { page[first + $0] }
        steps.append(LookupStep(layout: SMMUStreamTableEntry.layout, address: address, words: words, violations: []))
        return steps
    }
}
