/// One table page of 512 words as runs of words in arithmetic progression, without loss.
///
/// Real page tables are such runs: consecutive leaves differ by their size, unused words are zero. The form:
///
/// * one byte 0: 4,096 bytes follow, the words little-endian (the raw form);
/// * one byte 1: runs follow until 512 words are told. A run is a varint `count << 2 | kind`, count 1 to 512, then
///   kind 0: nothing, the words are zero; kind 1: a varint word, all words equal it; kind 2: a varint word and a zig-zag
///   varint stride, word `k` is `word + k * stride` modulo 2^64; kind 3: as kind 2 with a stride of 4,096, not written.
///
/// A varint is little-endian base 128, at most 10 bytes. The encoder takes the raw form when the runs would need more
/// than ``rawThreshold`` bytes: such pages decode faster raw (reference/measurements 2).
public enum PageRuns {
    /// Words in a table page.
    public static let wordCount = 512
    /// Runs longer than this many bytes are not worth their decoding time.
    public static let rawThreshold = 2048

    @usableFromInline static let rawMark: UInt8 = 0
    @usableFromInline static let runMark: UInt8 = 1

    /// Why bytes are not one page.
    public enum Malformed: Error, Sendable, Hashable {
        /// The first byte is no form's mark.
        case unknownForm(UInt8)
        /// The bytes end here, inside the page.
        case truncated(atByte: Int)
        /// The runs have so many words, or one of them has none; a page has 512.
        case wrongWordCount(Int)
        /// So many bytes follow a whole page.
        case trailingBytes(Int)
    }

    /// Writes the 512 words of a page that ``validate(_:)`` accepted. Never reads past `encoded`, never writes past 512
    /// words; on malformed input the rest is zero.
    public static func decode(_ encoded: UnsafeRawBufferPointer, into words: UnsafeMutablePointer<UInt64>) {
        var index = 0
        if let form = encoded.first, form == rawMark, encoded.count == 1 + 4096 {
            while index < wordCount {
                words[index] = UInt64(
                    littleEndian: encoded.loadUnaligned(fromByteOffset: 1 + index * 8, as: UInt64.self))
                index += 1
            }
            return
        }
        var cursor = 1
        while index < wordCount, let run = Run(encoded, &cursor), run.count <= wordCount - index {
            var word = run.first
            let end = index + run.count
            while index < end {
                words[index] = word
                word = word &+ run.stride
                index += 1
            }
        }
        while index < wordCount {
            words[index] = 0
            index += 1
        }
    }

    /// Checks that `encoded` is exactly one page. O(runs).
    ///
    /// `readable` bytes from its first one on may be looked at, its own in any case: what stands behind them decides
    /// nothing, but a page is short, and looking at 16 bytes at a time is what makes this fast.
    public static func validate(_ encoded: UnsafeRawBufferPointer, readable: Int = 0) throws(Malformed) {
        guard let base = encoded.baseAddress, let form = encoded.first else { throw .truncated(atByte: 0) }
        if form == rawMark {
            guard encoded.count >= 1 + 4096 else { throw .truncated(atByte: encoded.count) }
            guard encoded.count == 1 + 4096 else { throw .trailingBytes(encoded.count - 4097) }
            return
        }
        guard form == runMark else { throw .unknownForm(form) }
        let room = max(readable, encoded.count)
        var cursor = 1
        var words = 0
        while words < wordCount {
            if cursor &+ 16 <= room, let run = shortRun(base + cursor), cursor &+ run.length <= encoded.count {
                cursor &+= run.length
                words &+= run.count
            } else {
                guard let count = skipRun(encoded, &cursor) else { throw .truncated(atByte: cursor) }
                words &+= count
            }
            guard words <= wordCount else { throw .wrongWordCount(words) }
        }
        guard cursor == encoded.count else { throw .trailingBytes(encoded.count - cursor) }
    }

    /// The run in the 16 bytes from `start` on, and its length in bytes; `nil` when ``skipRun(_:_:)`` has to look: where a
    /// head has over two bytes, a number ten, or the run does not end here or is none.
    @inline(__always)
    private static func shortRun(_ start: UnsafeRawPointer) -> (count: Int, length: Int)? {
        let low = UInt64(littleEndian: start.loadUnaligned(as: UInt64.self))
        let high = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        // Bit k: byte k is the last one of its varint.
        var ends = lastBytes(low) | lastBytes(high) &<< 8
        guard ends & 3 != 0 else { return nil }
        let head = ends & 1 != 0 ? low & 0x7f : low & 0x7f | (low &>> 1) & 0x3f80
        guard head >= 1 &<< 2, head < 513 &<< 2 else { return nil }
        var length = ends.trailingZeroBitCount &+ 1
        // Kinds 1 and 3 have one number, kind 2 has two.
        let kind = head & 3
        if kind != 0 {
            ends &= ends &- 1
            let end = ends.trailingZeroBitCount &+ 1
            guard ends != 0, end &- length < 10 else { return nil }
            length = end
        }
        if kind == 2 {
            ends &= ends &- 1
            let end = ends.trailingZeroBitCount &+ 1
            guard ends != 0, end &- length < 10 else { return nil }
            length = end
        }
        return (Int(truncatingIfNeeded: head &>> 2), length)
    }

    /// Bit k: the highest bit of byte k is 0.
    @inline(__always)
    private static func lastBytes(_ word: UInt64) -> UInt64 {
        ((~word & 0x8080_8080_8080_8080) &* 0x0002_0408_1020_4081) &>> 56
    }

    /// As ``Run/init(_:_:)``, for the count alone.
    @inline(__always)
    private static func skipRun(_ bytes: UnsafeRawBufferPointer, _ cursor: inout Int) -> Int? {
        guard let head = readVarint(bytes, &cursor), head >> 2 >= 1, head >> 2 <= 512 else { return nil }
        // Kinds 1 and 3 have one number, kind 2 has two.
        switch head & 3 {
        case 0: break
        case 2: guard skipVarint(bytes, &cursor), skipVarint(bytes, &cursor) else { return nil }
        default: guard skipVarint(bytes, &cursor) else { return nil }
        }
        return Int(truncatingIfNeeded: head >> 2)
    }

    /// Moves on behind a number; false when ``readVarint(_:_:)`` would have none.
    @inline(__always)
    private static func skipVarint(_ bytes: UnsafeRawBufferPointer, _ cursor: inout Int) -> Bool {
        // Eight bytes at once: the first without the highest bit is the last of the number.
        if cursor &+ 8 <= bytes.count {
            let word = UInt64(
                littleEndian: bytes.loadUnaligned(fromByteOffset: cursor, as: UInt64.self))
            let ends = ~word & 0x8080_8080_8080_8080
            if ends != 0 {
                cursor &+= (ends.trailingZeroBitCount >> 3) &+ 1
                return true
            }
        }
        return readVarint(bytes, &cursor) != nil
    }

    /// Calls `body` with each run of a valid page: index of its first word, word, stride, count.
    public static func forEachRun(
        _ encoded: UnsafeRawBufferPointer,
        _ body: (_ index: Int, _ first: UInt64, _ stride: UInt64, _ count: Int) -> Void
    ) {
        if encoded.first == rawMark {
            for index in 0..<min(wordCount, (encoded.count - 1) / 8) {
                let word = UInt64(littleEndian: encoded.loadUnaligned(fromByteOffset: 1 + index * 8, as: UInt64.self))
                body(index, word, 0, 1)
            }
            return
        }
        var cursor = 1
        var index = 0
        while index < wordCount, let run = Run(encoded, &cursor) {
            body(index, run.first, run.stride, run.count)
            index += run.count
        }
    }

    /// One run as read.
    struct Run {
        var first: UInt64 = 0
        var stride: UInt64 = 0
        var count: Int

        /// Reads the run at `cursor` and moves it on; `nil` when it does not fit or has a bad count.
        init?(_ bytes: UnsafeRawBufferPointer, _ cursor: inout Int) {
            guard let head = PageRuns.readVarint(bytes, &cursor), head >> 2 >= 1, head >> 2 <= 512 else { return nil }
            count = Int(head >> 2)
            let kind = head & 3
            if kind == 0 { return }
            guard let word = PageRuns.readVarint(bytes, &cursor) else { return nil }
            first = word
            if kind == 2 {
                guard let folded = PageRuns.readVarint(bytes, &cursor) else { return nil }
                stride = (folded >> 1) ^ (0 &- (folded & 1))
            } else if kind == 3 {
                stride = 4096
            }
        }
    }

    @inline(__always)
    static func readVarint(_ bytes: UnsafeRawBufferPointer, _ cursor: inout Int) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while cursor < bytes.count, shift < 64 {
            let byte = bytes[cursor]
            cursor += 1
            if shift == 63, byte > 1 { return nil }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
}
