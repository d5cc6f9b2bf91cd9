import IOMMUModel

/// What tables should be, asked for table by table.
struct WordExpectation: WordNotes, ~Copyable {
    let ignored: UInt64
    private let expected: (PhysicalAddress, Int, UnsafeMutablePointer<RecordedWords>) -> Int
    private let words: UnsafeMutablePointer<RecordedWords>

    init(
        ignoring mask: UInt64, _ expected: @escaping (PhysicalAddress, Int, UnsafeMutablePointer<RecordedWords>) -> Int
    ) {
        // A word is held against the one before it: a bit that is not to count must not carry into one that is.
        precondition(mask < 1 << 12)
        ignored = mask
        self.expected = expected
        words = .allocate(capacity: 512)
        words.initialize(repeating: RecordedWords(first: 0, stride: 0, count: 1), count: 512)
    }

    deinit { words.deallocate() }

    @inline(__always)
    mutating func expected(page: UInt64, level: Int) -> UnsafeBufferPointer<RecordedWords> {
        UnsafeBufferPointer(start: words, count: expected(PhysicalAddress(page), level, words))
    }
}
