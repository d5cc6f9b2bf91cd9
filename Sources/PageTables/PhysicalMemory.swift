import IOMMUModel

/// The physical memory of a machine: sorted segments that do not overlap, each in a ``MappedRegion`` that it keeps.
///
/// What no segment holds is *absent*: unknown, not zero. A copy shares the bytes; only the list of segments is its own.
public struct PhysicalMemory: @unchecked Sendable {
    private var table = SegmentTable(capacity: 4)

    /// No segments: every address is absent.
    public init() {}

    /// Adds `byteCount` bytes at physical `address`: those of `region` from `regionOffset` on.
    ///
    /// Neither end need be page aligned, but a page that is not wholly in one segment counts as absent. Cheapest in
    /// ascending order of address. Views taken before are no longer valid.
    public mutating func add(
        at address: PhysicalAddress, byteCount: UInt64, region: MappedRegion, regionOffset: Int = 0
    ) throws(MemoryError) {
        guard byteCount > 0 else { throw .empty(at: address) }
        guard let range = PhysicalRange(first: address, bytes: byteCount) else {
            throw .passesEndOfSpace(at: address, byteCount: byteCount)
        }
        guard regionOffset >= 0, regionOffset <= region.byteCount,
            byteCount <= UInt64(region.byteCount - regionOffset)
        else {
            throw .outsideRegion(offset: regionOffset, byteCount: byteCount, regionBytes: region.byteCount)
        }
        let pointer = region.base + regionOffset
        guard (UInt64(UInt(bitPattern: pointer)) &- address.rawValue) & 7 == 0 else {
            throw .misaligned(at: address, regionOffset: regionOffset)
        }
        let position = table.position(of: address.rawValue)
        for neighbour in [position - 1, position] where table.range(neighbour).map(range.overlaps) == true {
            throw .overlap(range, with: table.range(neighbour)!)
        }
        if !isKnownUniquelyReferenced(&table) { table = SegmentTable(copying: table) }
        table.insert(.init(base: address.rawValue, byteCount: byteCount, pointer: pointer), region, at: position)
    }

    /// Plain pointers to all segments; valid while this value lives and until the next ``add(at:byteCount:region:regionOffset:)``.
    public var view: MemoryView { table.view }

    /// See ``MemoryView/word(at:)``.
    public func word(at address: PhysicalAddress) -> UInt64? { view.word(at: address) }

    /// See ``MemoryView/setWord(_:at:)``.
    public func setWord(_ value: UInt64, at address: PhysicalAddress) -> Bool { view.setWord(value, at: address) }

    /// See ``MemoryView/page(at:)``.
    public func page(at address: PhysicalAddress) -> UnsafeMutablePointer<UInt64>? { view.page(at: address) }

    /// One segment: where it is and its bytes.
    public struct Segment {
        /// Where the bytes are; not necessarily whole pages.
        public let range: PhysicalRange
        /// Valid while the memory it came from lives.
        public let bytes: UnsafeMutableRawBufferPointer
        /// What keeps the bytes alive.
        public let region: MappedRegion
    }

    /// All segments, ascending.
    public var segments: [Segment] {
        (0..<table.count).map { index in
            let segment = table.storage[index]
            return Segment(
                range: table.range(index)!,
                bytes: .init(start: segment.pointer, count: Int(segment.byteCount)), region: table.regions[index])
        }
    }
}

/// The segments at an address that does not move while views point to it.
private final class SegmentTable {
    var storage: UnsafeMutablePointer<MemoryView.Segment>
    var capacity: Int
    var count = 0
    var primary = 0
    var regions: [MappedRegion] = []

    init(capacity: Int) {
        self.capacity = capacity
        storage = .allocate(capacity: capacity)
        // An empty memory still has a view: one segment of no bytes that holds nothing.
        storage.initialize(to: .init(base: 0, byteCount: 0, pointer: UnsafeMutableRawPointer(storage)))
    }

    convenience init(copying other: SegmentTable) {
        self.init(capacity: max(other.count + 1, 4))
        if other.count > 0 { storage.update(from: other.storage, count: other.count) }
        count = other.count
        primary = other.primary
        regions = other.regions
    }

    deinit { storage.deallocate() }

    var view: MemoryView { MemoryView(segments: storage, count: count, primary: primary) }

    func range(_ index: Int) -> PhysicalRange? {
        guard index >= 0, index < count else { return nil }
        return PhysicalRange(first: .init(storage[index].base), bytes: storage[index].byteCount)
    }

    /// How many segments begin at or below `address`.
    func position(of address: UInt64) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if storage[middle].base <= address { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func insert(_ segment: MemoryView.Segment, _ region: MappedRegion, at position: Int) {
        if count == capacity {
            let larger = UnsafeMutablePointer<MemoryView.Segment>.allocate(capacity: capacity * 2)
            larger.update(from: storage, count: count)
            storage.deallocate()
            storage = larger
            capacity *= 2
        }
        if position < count {
            (storage + position + 1).update(from: storage + position, count: count - position)
        }
        if count > 0, position <= primary { primary += 1 }
        storage[position] = segment
        regions.insert(region, at: position)
        count += 1
        if segment.byteCount > storage[primary].byteCount { primary = position }
    }
}
