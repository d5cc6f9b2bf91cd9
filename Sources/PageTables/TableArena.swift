import Glibc
import IOMMUModel

/// The allocator of 4 KiB table frames: physical page ranges inside a memory, and frames adopted from elsewhere.
///
/// Deterministic: the same operations give the same frames. A frame freed last is allocated first; fresh frames come
/// range by range, ascending. Each frame has a dirty mark, set when it is allocated or a mapper writes into it.
/// The marks are kept apart from the frames; the arena holds no reference to the memory.
public struct TableArena: ~Copyable, @unchecked Sendable {
    /// A contiguous piece of the numbering of frames.
    struct Range {
        var base: UInt64
        var firstIndex: Int
        var count: Int
    }

    let ranges: [Range]
    /// Frames in ``ranges``; adopted frames outside of them are numbered from here on.
    let rangeFrames: Int
    /// The largest range, tried first.
    private let primary: Range
    /// Adopted frames outside all ranges, in the order of their adoption.
    private(set) var foreignFrames: [UInt64] = []
    private var foreignIndex: [UInt64: Int] = [:]
    /// Freed frames, the last one on top; may name frames that were adopted again since.
    private(set) var freed: [Int] = []
    /// The next frame of the ranges that was never allocated.
    private(set) var nextFresh = 0
    /// No frame begins above this address.
    private(set) var highestFrame: UInt64
    private var capacity: Int
    /// 1: in use.
    private var used: UnsafeMutablePointer<UInt8>
    private var dirty: UnsafeMutablePointer<UInt8>
    /// The marks of ``primary``.
    private var primaryDirty: UnsafeMutablePointer<UInt8>

    /// Frames in use.
    public private(set) var allocatedCount = 0

    /// Frames that can be allocated.
    public var availableCount: Int { rangeFrames + foreignFrames.count - allocatedCount }

    /// An arena of the frames in `ranges`, all of them free, in the order given. Every frame must be in `memory`.
    public init(ranges: [PhysicalRange], memory: MemoryView) throws(ArenaError) {
        let sorted = ranges.sorted()
        for index in sorted.indices.dropFirst() where sorted[index].overlaps(sorted[index - 1]) {
            throw .overlap(sorted[index], with: sorted[index - 1])
        }
        var all: [Range] = []
        var total = 0
        for range in ranges {
            guard range.isAligned(toLog2: 12) else { throw .misaligned(range) }
            let count = range.lastOffset >> 12 + 1
            guard count <= UInt64(Int32.max), total + Int(count) <= Int(Int32.max) else { throw .tooManyFrames }
            if let missing = memory.firstMissingPage(in: range) { throw .notInMemory(missing) }
            all.append(Range(base: range.first.rawValue, firstIndex: total, count: Int(count)))
            total += Int(count)
        }
        self.ranges = all
        rangeFrames = total
        primary = all.max { $0.count < $1.count } ?? Range(base: 0, firstIndex: 0, count: 0)
        highestFrame = sorted.last.map { $0.last.pageBase.rawValue } ?? 0
        capacity = max(total, 1)
        used = Self.marks(capacity)
        dirty = Self.marks(capacity)
        primaryDirty = dirty + primary.firstIndex
    }

    deinit {
        Glibc.free(used)
        Glibc.free(dirty)
    }

    /// Zero marks for `count` frames; `calloc` takes host memory only where it is touched.
    private static func marks(_ count: Int) -> UnsafeMutablePointer<UInt8> {
        guard let memory = calloc(count, 1) else { preconditionFailure("out of host memory") }
        return memory.assumingMemoryBound(to: UInt8.self)
    }

    /// A frame full of zeros, marked dirty; `nil` when none is left. `memory` must hold the arena's frames.
    public mutating func allocate(memory: MemoryView) -> PhysicalAddress? {
        while !freed.isEmpty {
            let index = freed.removeLast()
            if used[index] == 0 { return take(index, memory) }
        }
        while nextFresh < rangeFrames {
            let index = nextFresh
            nextFresh &+= 1
            if used[index] == 0 { return take(index, memory) }
        }
        return nil
    }

    /// `count` consecutive frames full of zeros, marked dirty; `nil` when no range has them. For structures that the
    /// hardware indexes as one array. Freed frame by frame.
    ///
    /// Frames that were never allocated come first; those of a range's end that are too few are kept for
    /// ``allocate(memory:)``. O(count + ranges), O(frames) once the fresh ones are used up.
    public mutating func allocate(contiguous count: Int, memory: MemoryView) -> PhysicalAddress? {
        precondition(count > 0, "at least one frame")
        if count == 1 { return allocate(memory: memory) }
        var first = nextFresh
        for range in ranges where range.firstIndex + range.count > first {
            first = max(first, range.firstIndex)
            var free = 0
            while free < count, first + free < range.firstIndex + range.count {
                if used[first + free] == 0 {
                    free += 1
                } else {
                    first += free + 1
                    free = 0
                }
            }
            if free == count {
                for index in nextFresh..<first where used[index] == 0 { freed.append(index) }
                nextFresh = first + count
                let frame = take(first, memory)
                for index in first + 1..<first + count { _ = take(index, memory) }
                return frame
            }
            first = range.firstIndex + range.count
        }
        return reallocate(contiguous: count, memory)
    }

    /// As ``allocate(contiguous:memory:)``, from any free frames.
    private mutating func reallocate(contiguous count: Int, _ memory: MemoryView) -> PhysicalAddress? {
        for range in ranges {
            var free = 0
            for index in range.firstIndex..<range.firstIndex + range.count {
                free = used[index] == 0 ? free + 1 : 0
                guard free == count else { continue }
                // They stay in the list of freed ones, which is asked whether they are in use.
                let frame = take(index - count + 1, memory)
                for next in index - count + 2...index { _ = take(next, memory) }
                return frame
            }
        }
        return nil
    }

    @inline(__always)
    private mutating func take(_ index: Int, _ memory: MemoryView) -> PhysicalAddress {
        let frame = address(of: index)
        guard let words = memory.words(ofPage: frame) else {
            preconditionFailure("the arena's frames are not in this memory")
        }
        memset(words, 0, 4096)
        used[index] = 1
        dirty[index] = 1
        allocatedCount &+= 1
        return PhysicalAddress(frame)
    }

    /// Gives `frame` back. False, and nothing changed, when it is not in use here.
    @discardableResult
    public mutating func free(_ frame: PhysicalAddress) -> Bool {
        guard frame.pageOffset == 0, let index = index(of: frame.rawValue), used[index] == 1 else { return false }
        used[index] = 0
        dirty[index] = 0
        allocatedCount -= 1
        freed.append(index)
        return true
    }

    /// Takes `frame` (4 KiB aligned), which holds a table already, into use, so that it can be freed later. Its words are
    /// not touched and it is not marked dirty. False, and nothing changed, when it is in use here already.
    @discardableResult
    public mutating func adopt(_ frame: PhysicalAddress) -> Bool {
        precondition(frame.pageOffset == 0, "a frame is 4 KiB aligned")
        let index: Int
        if let known = self.index(of: frame.rawValue) {
            index = known
        } else {
            index = rangeFrames + foreignFrames.count
            precondition(index < Int(Int32.max), "too many frames")
            foreignFrames.append(frame.rawValue)
            foreignIndex[frame.rawValue] = index
            highestFrame = max(highestFrame, frame.rawValue)
            if index >= capacity { grow() }
        }
        guard used[index] == 0 else { return false }
        used[index] = 1
        allocatedCount += 1
        return true
    }

    private mutating func grow() {
        let larger = capacity * 2
        used = Self.copy(used, capacity, to: larger)
        dirty = Self.copy(dirty, capacity, to: larger)
        primaryDirty = dirty + primary.firstIndex
        capacity = larger
    }

    private static func copy(_ old: UnsafeMutablePointer<UInt8>, _ count: Int, to capacity: Int)
        -> UnsafeMutablePointer<UInt8>
    {
        let new = marks(capacity)
        new.update(from: old, count: count)
        Glibc.free(old)
        return new
    }

    /// True when the frame numbered `index` is in use.
    func isUsed(_ index: Int) -> Bool { used[index] == 1 }

    /// Puts back what a recorded state says.
    mutating func restore(_ state: ArenaState) {
        for frame in state.foreignFrames {
            adopt(PhysicalAddress(frame))
            free(PhysicalAddress(frame))
        }
        for index in state.used { used[index] = 1 }
        allocatedCount = state.used.count
        nextFresh = state.nextFresh
        freed = state.freed
    }

    /// True when `frame` is in use.
    public func isAllocated(_ frame: PhysicalAddress) -> Bool {
        index(of: frame.rawValue).map { used[$0] == 1 } ?? false
    }

    /// The frames written since the marks were last cleared, ascending.
    public var dirtyFrames: [PhysicalAddress] { frames { dirty[$0] == 1 } }

    /// The frames in use, ascending.
    public var allocatedFrames: [PhysicalAddress] { frames { used[$0] == 1 } }

    private func frames(where isWanted: (Int) -> Bool) -> [PhysicalAddress] {
        (0..<rangeFrames + foreignFrames.count).filter(isWanted).map { PhysicalAddress(address(of: $0)) }.sorted()
    }

    /// Forgets which frames were written.
    public mutating func clearDirty() { memset(dirty, 0, capacity) }

    /// Marks the frame of the table at `page` as written, when it is one of the arena's.
    @inline(__always)
    mutating func markDirty(_ page: UInt64) {
        if !markPrimaryDirty(page), let index = Self.slowIndex(of: page, ranges, foreignFrames, foreignIndex) {
            dirty[index] = 1
        }
    }

    /// As ``markDirty(_:)`` when the frame is in the largest range; otherwise false, and nothing marked.
    @inline(__always)
    mutating func markPrimaryDirty(_ page: UInt64) -> Bool {
        let offset = (page &- primary.base) &>> 12
        guard offset < UInt64(truncatingIfNeeded: primary.count) else { return false }
        primaryDirty[Int(truncatingIfNeeded: offset)] = 1
        return true
    }

    @inline(__always)
    private func index(of page: UInt64) -> Int? {
        let offset = (page &- primary.base) &>> 12
        if offset < UInt64(truncatingIfNeeded: primary.count) {
            return primary.firstIndex &+ Int(truncatingIfNeeded: offset)
        }
        return Self.slowIndex(of: page, ranges, foreignFrames, foreignIndex)
    }

    /// The parts that it needs are parameters: a method would have the whole value copied on the fast path.
    @inline(never)
    private static func slowIndex(
        of page: UInt64, _ ranges: [Range], _ foreignFrames: [UInt64], _ foreignIndex: [UInt64: Int]
    ) -> Int? {
        for range in ranges {
            let offset = (page &- range.base) &>> 12
            if offset < UInt64(range.count) { return range.firstIndex + Int(offset) }
        }
        return foreignFrames.isEmpty ? nil : foreignIndex[page]
    }

    @inline(__always)
    private func address(of index: Int) -> UInt64 {
        let offset = index &- primary.firstIndex
        if offset >= 0, offset < primary.count { return primary.base &+ UInt64(truncatingIfNeeded: offset) &<< 12 }
        return Self.slowAddress(of: index, ranges, rangeFrames, foreignFrames)
    }

    @inline(never)
    private static func slowAddress(
        of index: Int, _ ranges: [Range], _ rangeFrames: Int, _ foreignFrames: [UInt64]
    ) -> UInt64 {
        if index >= rangeFrames { return foreignFrames[index - rangeFrames] }
        let range = ranges.last { $0.firstIndex <= index && $0.count > 0 }!
        return range.base + UInt64(index - range.firstIndex) << 12
    }
}
