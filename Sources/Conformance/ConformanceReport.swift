/// How many known-answer vectors passed, failed, or test something that is not built yet.
public struct ConformanceReport: Sendable, Hashable {
    /// One vector whose answer differs.
    public struct Failure: Sendable, Hashable, CustomStringConvertible {
        /// The vector's id in its file, or its kind and position where it has none.
        public var id: String
        /// The answer that the file gives, in the words that ``got`` is told in.
        public var expected: String
        /// The answer of this code.
        public var got: String

        /// `ID: expected …, got …`.
        public var description: String { "\(id): expected \(expected), got \(got)" }
    }

    /// Vectors whose answer is that of the file.
    public private(set) var passed = 0
    /// Vectors of a format or structure that this version does not have; never counted as passed.
    public private(set) var skipped = 0
    /// In the order of the file.
    public private(set) var failures: [Failure] = []
    /// The number of ``failures``.
    public var failed: Int { failures.count }

    mutating func skip(_ count: Int = 1) { skipped += count }

    /// Counts one vector: passed when `got` is `expected`.
    mutating func compare(_ id: String, expected: String, got: String) {
        if expected == got { passed += 1 } else { failures.append(Failure(id: id, expected: expected, got: got)) }
    }
}
