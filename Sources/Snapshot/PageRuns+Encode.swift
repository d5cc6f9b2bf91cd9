extension PageRuns {
    /// Appends the page of 512 words at `words`. O(512), with `ends` mostly O(runs).
    ///
    /// `ends` says where the longest runs of zeros end, and those of other words each of which is 4,096 more than the one
    /// before: ascending, the last one 512; or it is empty. It changes nothing but the time.
    public static func encode(
        _ words: UnsafePointer<UInt64>, ends: UnsafeBufferPointer<UInt16> = .init(start: nil, count: 0),
        into bytes: inout [UInt8]
    ) {
        let start = bytes.count
        // As much as fits on the stack.
        let isShort = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1024) { part in
            part[0] = runMark
            var writer = RunWriter(part, count: 1)
            var index = 0
            var next = 0
            while index < wordCount {
                let run: (stride: UInt64, count: Int)
                if ends.isEmpty {
                    run = progression(words, at: index)
                } else {
                    while ends[next] <= index { next &+= 1 }
                    let count = Int(ends[next]) &- index
                    let step: UInt64 = words[index] == 0 ? 0 : 4096
                    run = step == 0 || count > 1 ? (step, count) : progression(words, at: index)
                }
                if writer.count &+ RunWriter.longestRun > part.count {
                    bytes.append(contentsOf: part[..<writer.count])
                    writer.count = 0
                }
                writer.append(first: words[index], stride: run.stride, count: run.count)
                if bytes.count &- start &+ writer.count > rawThreshold { return false }
                index &+= run.count
            }
            bytes.append(contentsOf: part[..<writer.count])
            return true
        }
        if isShort { return }
        bytes.removeSubrange(start...)
        bytes.append(rawMark)
        for index in 0..<wordCount {
            withUnsafeBytes(of: words[index].littleEndian) { bytes.append(contentsOf: $0) }
        }
    }

    /// The run that the word at `index` begins: greedy, but for two words that are no progression yet.
    @inline(__always)
    private static func progression(_ words: UnsafePointer<UInt64>, at index: Int) -> (stride: UInt64, count: Int) {
        let first = words[index]
        let limit = wordCount &- index
        if first == 0 { return (0, WordRun(stride: 0).length(words + index, limit: limit)) }
        // A run must not swallow the zero that begins the unused rest, nor start at a lone word before one.
        guard limit > 1, words[index &+ 1] != 0 else { return (0, 1) }
        let stride = words[index &+ 1] &- first
        let isCommon = stride == 0 || stride == 4096
        // Two unequal neighbours: the first is told alone when the second may start a progression.
        if !isCommon, limit > 2, words[index &+ 2] != words[index &+ 1] &+ stride || words[index &+ 2] == 0 {
            return (0, 1)
        }
        return (stride, WordRun(stride: stride).length(words + index, limit: limit))
    }

    static func zigzag(_ stride: UInt64) -> UInt64 {
        (stride << 1) ^ UInt64(bitPattern: Int64(bitPattern: stride) >> 63)
    }
}

/// Writes runs one after the other.
struct RunWriter {
    private let bytes: UnsafeMutableBufferPointer<UInt8>
    /// The bytes written.
    var count: Int

    /// Head, word and stride, each as long as can be.
    static var longestRun: Int { 2 + 10 + 10 }

    /// Writes to `bytes`, which must have room, behind the first `count`.
    init(_ bytes: UnsafeMutableBufferPointer<UInt8>, count: Int = 0) {
        self.bytes = bytes
        self.count = count
    }

    /// A run of `count` words from `first` on.
    @inline(__always)
    mutating func append(first: UInt64, stride: UInt64, count: Int) {
        let head = UInt64(truncatingIfNeeded: count) &<< 2
        if first == 0, stride == 0 { return append(head) }
        append(head | (stride == 0 || count == 1 ? 1 : stride == 4096 ? 3 : 2))
        append(first)
        if count > 1, stride != 0, stride != 4096 { append(PageRuns.zigzag(stride)) }
    }

    /// A varint.
    @inline(__always)
    mutating func append(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes[count] = UInt8(truncatingIfNeeded: rest) | 0x80
            count &+= 1
            rest &>>= 7
        }
        bytes[count] = UInt8(truncatingIfNeeded: rest)
        count &+= 1
    }
}
