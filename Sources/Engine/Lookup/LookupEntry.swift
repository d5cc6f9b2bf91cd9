import Hardware
import IOMMUModel
import PageTables

/// What a lookup entry has to say about the requests of one requester and PASID.
struct LookupEntry: Sendable, Hashable {
    /// Where the address goes.
    var path: TranslationPath
    /// The tag of the unit's caches.
    var tag: UInt32
}

/// One entry of a lookup structure that decides about a device as a whole, as it stands in memory.
public struct DeviceEntry: Sendable, Hashable {
    /// Whose entry it is; not necessarily a device that an engine knows.
    public var requester: RequesterID
    /// Of the first word.
    public var address: PhysicalAddress
    /// All words of the entry (VT-d legacy: 2, scalable: 4, AMD: 4, SMMUv3: 8).
    public var words: [UInt64]
}

/// Reads and writes the words of one unit's lookup entries, in the order in which hardware may look at them.
struct LookupMemory {
    private let unit: UnitHardware
    let memory: MemoryView

    init(_ unit: UnitHardware, memory: MemoryView) {
        self.unit = unit
        self.memory = memory
    }

    /// `count` words from `address` on; `nil` when they are not all in memory.
    func words(_ count: Int, at address: PhysicalAddress) -> [UInt64]? {
        let first = Int(address.pageOffset) / 8
        if first + count <= 512, address.isAligned(toLog2: 3), let page = memory.page(at: address) {
            return Array(UnsafeBufferPointer(start: page + first, count: count))
        }
        var words: [UInt64] = []
        for index in 0..<count {
            guard let place = address.offset(by: UInt64(index) * 8), let word = memory.word(at: place) else {
                return nil
            }
            words.append(word)
        }
        return words
    }

    /// Writes an entry: the first word, with the present bit, last. A present entry is exchanged so too: a driver uses
    /// one wide store, and nothing looks at memory in between here.
    func publish(_ words: [UInt64], at address: PhysicalAddress) {
        for (index, word) in words.enumerated().reversed() { set(word, at: address.advanced(UInt64(index) * 8)) }
        unit.entryChanged?()
    }

    /// Takes an entry of `count` words out of use: the first word, with the present bit, first.
    func withdraw(_ count: Int, at address: PhysicalAddress) {
        for index in 0..<count { set(0, at: address.advanced(UInt64(index) * 8)) }
        unit.entryChanged?()
    }

    private func set(_ word: UInt64, at address: PhysicalAddress) {
        unit.lookupWrites &+= 1
        let done = memory.setWord(word, at: address)
        precondition(done, "a lookup table of the engine is in memory")
    }

    /// True when the whole 4 KiB page at `page` is zero.
    func isEmpty(page: PhysicalAddress) -> Bool {
        guard let words = memory.page(at: page) else { return false }
        return !(0..<512).contains { words[$0] != 0 }
    }
}

extension PhysicalAddress {
    /// The address `bytes` on, for places inside one lookup structure.
    func advanced(_ bytes: UInt64) -> PhysicalAddress { PhysicalAddress(rawValue &+ bytes) }
}
