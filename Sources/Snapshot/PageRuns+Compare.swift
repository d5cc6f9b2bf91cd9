extension PageRuns {
    /// True when the 512 words at `words` equal the encoded page's, the bits of `mask` aside.
    ///
    /// Compares run by run, without decoding the page first: this is the inner loop of the audit. `encoded` is a page
    /// that ``validate(_:)`` accepted; a malformed one never matches.
    public static func matches(
        _ encoded: UnsafeRawBufferPointer, _ words: UnsafePointer<UInt64>, ignoring mask: UInt64
    ) -> Bool {
        var different: UInt64 = 0
        if encoded.first == rawMark {
            guard encoded.count == 1 + 4096 else { return false }
            for index in 0..<wordCount {
                let word = UInt64(
                    littleEndian: encoded.loadUnaligned(fromByteOffset: 1 &+ index &* 8, as: UInt64.self))
                different |= words[index] ^ word
            }
            return different & ~mask == 0
        }
        var cursor = 1
        var index = 0
        while index < wordCount {
            guard let run = Run(encoded, &cursor), run.count <= wordCount &- index else { return false }
            var word = run.first
            for offset in index..<index &+ run.count {
                different |= words[offset] ^ word
                word = word &+ run.stride
            }
            index &+= run.count
        }
        return different & ~mask == 0
    }
}
