import IOMMUModel

/// What a scan notes of the words of one table beside what they map, or knows of them beforehand.
protocol WordNotes: ~Copyable {
    /// From here on of another table.
    mutating func begin(level: Int)
    /// What the words of the table at `page` should be, all 512 of them; empty when nothing is known.
    mutating func expected(page: UInt64, level: Int) -> UnsafeBufferPointer<RecordedWords>
    /// Bits that may be otherwise than expected.
    var ignored: UInt64 { get }
    /// False when nothing of this table is noted any more.
    var isNoting: Bool { get }
    /// A run ends at `end`, unless that is known already.
    mutating func append(end: Int)
    /// The table has other words as well.
    mutating func giveUp()
    /// ``ScannedTable/ends``. Valid until the next table.
    var ends: UnsafeBufferPointer<UInt16> { get }
}

/// Who notes nothing, and knows nothing.
extension WordNotes where Self: ~Copyable {
    func begin(level: Int) {}
    @inline(__always)
    var isNoting: Bool { false }
    func append(end: Int) {}
    func giveUp() {}
    var ends: UnsafeBufferPointer<UInt16> { .init(start: nil, count: 0) }
    @inline(__always)
    func expected(page: UInt64, level: Int) -> UnsafeBufferPointer<RecordedWords> { .init(start: nil, count: 0) }
    @inline(__always)
    var ignored: UInt64 { 0 }
}

/// Nothing.
struct NoWordNotes: WordNotes {}

/// How the words of a table of the lowest level go on: where each longest run of zeros, and each of other words that are
/// 4,096 apart, ends. What a page is recorded as; a scan meets most of it anyway.
struct WordProgressions: WordNotes, ~Copyable {
    private(set) var isNoting = false
    private let places: UnsafeMutablePointer<UInt16>
    private var count = 0

    init() {
        places = .allocate(capacity: 512)
        places.initialize(repeating: 0, count: 512)
    }

    deinit { places.deallocate() }

    @inline(__always)
    mutating func begin(level: Int) {
        isNoting = level == 0
        count = 0
    }

    @inline(__always)
    mutating func append(end: Int) {
        guard isNoting, count == 0 || places[count &- 1] < end else { return }
        places[count] = UInt16(truncatingIfNeeded: end)
        count &+= 1
    }

    @inline(__always)
    mutating func giveUp() { isNoting = false }

    @inline(__always)
    var ends: UnsafeBufferPointer<UInt16> {
        let isWhole = isNoting && count > 0 && places[count &- 1] == 512
        return UnsafeBufferPointer(start: places, count: isWhole ? count : 0)
    }
}
