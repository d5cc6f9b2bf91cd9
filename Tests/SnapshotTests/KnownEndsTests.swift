import Testing

@testable import Snapshot

/// Encoding a page whose progressions are known already.
struct KnownEndsTests {
    /// Where the longest runs of zeros, and of other words 4,096 apart, end.
    private static func ends(_ words: [UInt64]) -> [UInt16] {
        (1...512).filter { index in
            if index == 512 { return true }
            let (word, before) = (words[index], words[index - 1])
            return before == 0 ? word != 0 : word != before &+ 4096 || word == 0
        }.map { UInt16($0) }
    }

    private static func encoded(_ words: [UInt64], _ ends: [UInt16]) -> [UInt8] {
        var bytes: [UInt8] = [0xaa]
        ends.withUnsafeBufferPointer { ends in
            words.withUnsafeBufferPointer { PageRuns.encode($0.baseAddress!, ends: ends, into: &bytes) }
        }
        return bytes
    }

    @Test(arguments: 0..<200)
    func `the bytes are those of a page of which nothing is known`(number: Int) {
        var seed = UInt64(number) &* 7919 &+ 3
        var words: [UInt64] = []
        // From pages of long runs to such as are told raw.
        let longest = UInt64([1, 2, 3, 8, 64, 512][number % 6])
        while words.count < 512 {
            let strides: [UInt64] = [4096, 4096, 0, 0x20_0000, 0 &- 4096, PageRunsTests.random(&seed)]
            let stride = strides[Int(PageRunsTests.random(&seed) % 6)]
            let first = PageRunsTests.random(&seed) % 4 == 0 ? 0 : PageRunsTests.random(&seed) & 0xf_ffff_ffff_f003
            for step in 0...PageRunsTests.random(&seed) % longest {
                words.append(first == 0 ? 0 : first &+ step &* stride)
            }
        }
        words.removeLast(words.count - 512)
        #expect(Self.encoded(words, Self.ends(words)) == Self.encoded(words, []))
    }

    @Test func `what is known is what is written`() {
        // Told to end earlier than they do, the runs are told so: the words are not looked at.
        let words = (0..<512).map { 0x1003 + UInt64($0) * 4096 }
        #expect(Self.encoded(words, [512]).count < Self.encoded(words, [100, 200, 512]).count)
    }
}
