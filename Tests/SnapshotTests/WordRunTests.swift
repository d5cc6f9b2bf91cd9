import Testing

@testable import Snapshot

/// The search for the end of a run beside a look at one word after the other.
@Suite struct WordRunTests {
    private func naive(_ words: ArraySlice<UInt64>, stride: UInt64) -> Int {
        let first = words.first!
        var expected = first
        for (count, word) in words.enumerated() {
            if word != expected || word == 0 && first != 0 { return count }
            expected &+= stride
        }
        return words.count
    }

    @Test(arguments: [0, 1, 4096, 1 << 21, 0 &- 4096, 0 &- 3] as [UInt64])
    func `a run ends at the first word that does not continue it, and before a zero`(stride: UInt64) {
        for length in 1...40 {
            for zeroAt in 0...length {
                // Comes to 0 at `zeroAt`, when that is in it.
                var words = (0..<length).map { UInt64($0) &* stride &- UInt64(zeroAt) &* stride }
                if (length + zeroAt) % 2 == 0 { words[(length * 7 + zeroAt) % length] = 5 }
                for from in 0..<length {
                    let slice = words[from...]
                    let found = slice.withUnsafeBufferPointer {
                        WordRun(stride: stride).length($0.baseAddress!, limit: $0.count)
                    }
                    #expect(found == naive(slice, stride: stride), "\(Array(slice)), stride \(stride)")
                }
            }
        }
    }
}
