import IOMMUModel

extension PageRuns {
    /// Writes the runs of a valid page to `words`, which has room for 512, and answers how many they are. O(runs).
    ///
    /// `readable` as in ``validate(_:readable:)``.
    static func words(
        _ encoded: UnsafeRawBufferPointer, readable: Int, into words: UnsafeMutablePointer<RecordedWords>
    ) -> Int {
        guard let base = encoded.baseAddress else { return 0 }
        var count = 0
        if encoded.first == rawMark {
            forEachRun(encoded) { _, first, stride, length in
                words[count] = RecordedWords(first: first, stride: stride, count: length)
                count &+= 1
            }
            return count
        }
        var cursor = 1
        var index = 0
        while index < wordCount, count < wordCount {
            if cursor &+ 16 <= readable, let run = shortRun(base + cursor) {
                words[count] = run.words
                cursor &+= run.length
            } else {
                guard let run = Run(encoded, &cursor) else { return 0 }
                words[count] = RecordedWords(first: run.first, stride: run.stride, count: run.count)
            }
            index &+= words[count].count
            count &+= 1
        }
        return count
    }

    /// The run of kind 1 or 3 in the 16 bytes from `start` on, and its length in bytes; `nil` when it is of another kind, or
    /// its word has more than eight bytes.
    @inline(__always)
    private static func shortRun(_ start: UnsafeRawPointer) -> (words: RecordedWords, length: Int)? {
        let low = UInt64(littleEndian: start.loadUnaligned(as: UInt64.self))
        guard low & 1 != 0, low & 0x8080 != 0x8080 else { return nil }
        // One byte or two: nobody foresees which, hence no branch.
        let isLong = low &>> 7 & 1
        let head = low & 0x7f | (low &>> 1) & 0x3f80 & (0 &- isLong)
        let headLength = Int(truncatingIfNeeded: isLong) &+ 1
        var word = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: headLength, as: UInt64.self))
        // The first byte without the highest bit is the last one.
        let ends = ~word & 0x8080_8080_8080_8080
        guard ends != 0 else { return nil }
        word &= ends ^ (ends &- 1)
        // Seven bits of each byte, put together in pairs, in fours, in eights.
        word = word & 0x007f_007f_007f_007f | (word & 0x7f00_7f00_7f00_7f00) &>> 1
        word = word & 0x0000_3fff_0000_3fff | (word & 0x3fff_0000_3fff_0000) &>> 2
        word = word & 0x0fff_ffff | (word & 0x0fff_ffff_0000_0000) &>> 4
        return (
            RecordedWords(
                first: word, stride: (head & 2) &<< 11, count: Int(truncatingIfNeeded: head &>> 2)),
            headLength &+ (ends.trailingZeroBitCount &>> 3) &+ 1
        )
    }
}

extension PageSet {
    /// Writes the words of page `index`, run by run, to `words`, which has room for 512, and answers how many runs they are.
    /// O(runs).
    public func words(of index: Int, into words: UnsafeMutablePointer<RecordedWords>) -> Int {
        let entry = entries[index]
        return bytes.withUnsafeBytes {
            let (start, end) = (Int(entry.start), Int(entry.end))
            return PageRuns.words(
                UnsafeRawBufferPointer(rebasing: $0[start..<end]), readable: $0.count &- start, into: words)
        }
    }
}
