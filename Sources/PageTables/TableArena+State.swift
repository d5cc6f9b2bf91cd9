import IOMMUModel

extension TableArena {
    static let stateVersion: UInt64 = 1

    /// Everything that decides which frames come next, as plain values, so that an engine can be recorded and rebuilt.
    ///
    /// 1; number of ranges, then base and number of frames of each; number of fresh frames taken; number of frames
    /// adopted from elsewhere, then their addresses; number of freed frames, then their numbers, oldest first; number of
    /// words, then those words: bit `k` of word `j` is set when frame `64 * j + k` is in use. Dirty marks are not in it.
    public var state: [UInt64] {
        var state: [UInt64] = [Self.stateVersion, UInt64(ranges.count)]
        for range in ranges { state += [range.base, UInt64(range.count)] }
        state.append(UInt64(nextFresh))
        state.append(UInt64(foreignFrames.count))
        state += foreignFrames
        state.append(UInt64(freed.count))
        state += freed.map { UInt64($0) }
        var words: [UInt64] = []
        for index in 0..<rangeFrames + foreignFrames.count where isUsed(index) {
            while words.count <= index / 64 { words.append(0) }
            words[index / 64] |= 1 << UInt64(index % 64)
        }
        state.append(UInt64(words.count))
        return state + words
    }

    /// The arena that ``state`` was read from, no frame marked dirty. Every frame must be in `memory`; nothing in it is
    /// changed. A state that no arena wrote is refused.
    public init(state: [UInt64], memory: MemoryView) throws(ArenaError) {
        let parsed = try ArenaState(state, memory: memory)
        try self.init(ranges: parsed.ranges, memory: memory)
        restore(parsed)
    }
}

/// A recorded state, read with every count and number checked.
struct ArenaState {
    private(set) var ranges: [PhysicalRange] = []
    private(set) var nextFresh = 0
    private(set) var foreignFrames: [UInt64] = []
    private(set) var freed: [Int] = []
    private(set) var used: [Int] = []

    private let values: [UInt64]
    private var position = 0

    init(_ values: [UInt64], memory: MemoryView) throws(ArenaError) {
        self.values = values
        guard try next(upTo: TableArena.stateVersion) == TableArena.stateVersion else {
            throw .malformedState(index: 0)
        }
        var frames: UInt64 = 0
        for _ in 0..<(try count(width: 2)) {
            let base = try next(upTo: .max)
            let number = try next(upTo: UInt64(Int32.max) - frames)
            guard let range = PhysicalRange(first: PhysicalAddress(base), bytes: number << 12) else {
                throw .malformedState(index: position - 1)
            }
            ranges.append(range)
            frames += number
        }
        nextFresh = Int(try next(upTo: frames))
        var known: Set<UInt64> = []
        for _ in 0..<(try count()) {
            let frame = PhysicalAddress(try next(upTo: .max))
            guard frame.pageOffset == 0, known.insert(frame.rawValue).inserted,
                !ranges.contains(where: { $0.contains(frame) })
            else { throw .malformedState(index: position - 1) }
            guard memory.page(at: frame) != nil else { throw .notInMemory(frame) }
            foreignFrames.append(frame.rawValue)
        }
        frames += UInt64(foreignFrames.count)
        for _ in 0..<(try count()) {
            guard frames > 0 else { throw .malformedState(index: position) }
            freed.append(Int(try next(upTo: frames - 1)))
        }
        for word in 0..<(try count()) {
            let bits = try next(upTo: .max)
            for bit in 0..<64 where bits >> UInt64(bit) & 1 == 1 {
                guard UInt64(word * 64 + bit) < frames else { throw .malformedState(index: position - 1) }
                used.append(word * 64 + bit)
            }
        }
        guard position == values.count else { throw .malformedState(index: position) }
    }

    private mutating func next(upTo limit: UInt64) throws(ArenaError) -> UInt64 {
        guard position < values.count, values[position] <= limit else { throw .malformedState(index: position) }
        position += 1
        return values[position - 1]
    }

    /// A number of elements, of `width` values each, that can still follow.
    private mutating func count(width: Int = 1) throws(ArenaError) -> Int {
        Int(try next(upTo: UInt64(max(0, values.count - position - 1) / width)))
    }
}
