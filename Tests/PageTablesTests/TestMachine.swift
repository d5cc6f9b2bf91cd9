import IOMMUModel
import PageTables

/// Memory of one segment, with helpers to write words.
struct TestMemory {
    let memory: PhysicalMemory
    let base: PhysicalAddress
    var view: MemoryView { memory.view }

    init(at base: UInt64 = 0x10_0000, pages: Int = 64) throws {
        var memory = PhysicalMemory()
        try memory.add(
            at: PhysicalAddress(base), byteCount: UInt64(pages) << 12, region: .anonymous(bytes: pages << 12))
        self.memory = memory
        self.base = PhysicalAddress(base)
    }

    /// The address of page `number`, counted from the first one.
    func page(_ number: Int) -> PhysicalAddress { PhysicalAddress(base.rawValue + UInt64(number) << 12) }

    func set(_ page: PhysicalAddress, _ index: Int, _ word: UInt64) {
        let done = memory.setWord(word, at: PhysicalAddress(page.rawValue + UInt64(index) * 8))
        precondition(done)
    }

    /// Points to `lowest` tables of level 0, which follow those of the levels above, one of each from the first page on;
    /// answers the number of the first.
    func setUpperTables(_ shape: Shape, lowest: Int) -> Int {
        let top = shape.configuration.topLevel
        for level in (1...top).reversed() {
            for index in 0..<(level == 1 ? lowest : 1) {
                set(page(top - level), index, shape.table(page(top - level + 1 + index), level: level))
            }
        }
        return top
    }

    func get(_ page: PhysicalAddress, _ index: Int) -> UInt64 {
        memory.word(at: PhysicalAddress(page.rawValue + UInt64(index) * 8))!
    }
}
