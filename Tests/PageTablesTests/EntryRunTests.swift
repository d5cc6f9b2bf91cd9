import CVector
import Testing

@testable import PageTables

/// The fast searches of a scan beside a look at one word after the other.
@Suite struct EntryRunTests {
    /// 512 words: runs of random lengths, of `slots` words alike, with bits outside of the mask set here and there.
    private static func table(_ random: inout SplitMix, sizeLog2: UInt64, slotsLog2: UInt64, noise: UInt64) -> [UInt64]
    {
        var words: [UInt64] = []
        while words.count < 512 {
            let first = random.next() & ~noise
            for number in 0..<random.next() % 96 + 1 {
                words.append((first &+ ((number >> slotsLog2) << sizeLog2)) & ~noise | random.next() & noise)
            }
        }
        return Array(words.prefix(512))
    }

    @Test(arguments: [0, 1, 2, 3, 4, 5, 8, 63] as [UInt64])
    func `a run ends at the first word that does not continue it`(slotsLog2: UInt64) {
        var random = SplitMix(seed: 7 + slotsLog2)
        let noise: UInt64 = 1 << 5 | 1 << 9
        for round in 0..<50 {
            let sizeLog2: UInt64 = slotsLog2 == 63 ? 0 : 12 + slotsLog2
            let words = Self.table(&random, sizeLog2: sizeLog2, slotsLog2: slotsLog2, noise: noise)
            let run = EntryRun(mask: ~noise, sizeLog2: sizeLog2, slotsLog2: slotsLog2)
            for from in 0..<512 {
                let to = from + 1 + Int(random.next() % UInt64(512 - from))
                var naive = from
                while naive < to,
                    words[naive] & ~noise
                        == words[from] & ~noise &+ ((UInt64(naive - from) >> slotsLog2) << sizeLog2)
                { naive += 1 }
                #expect(run.end(in: words, from: from, to: to) == naive, "round \(round), \(from)..<\(to)")
                if slotsLog2 == 0 {
                    #expect(run.end(in: words, from: from, to: to, canHaveGroups: false) == naive)
                }
            }
        }
    }

    /// By four words at once, where this processor can, and by two.
    @Test(arguments: Set([false, domstore_is_wide()]))
    func `the breaks of a table are the words that do not continue the one before`(isWide: Bool) {
        var random = SplitMix(seed: 11)
        let noise: UInt64 = 1 << 5 | 1 << 9
        var breaks = EntryBreaks(isWide: isWide)
        for round in 0..<200 {
            // Some without a single run.
            let words =
                round % 10 == 0
                ? (0..<512).map { _ in random.next() } : Self.table(&random, sizeLog2: 12, slotsLog2: 0, noise: noise)
            breaks.find(in: words, mask: ~noise, size: 4096)
            let naive = (0..<512).filter { $0 == 0 || words[$0] & ~noise != words[$0 - 1] & ~noise &+ 4096 }
            for (number, place) in (naive + [512]).enumerated() { #expect(breaks[number] == place) }
            // All but one are expected, then that one too.
            let other = naive[Int(random.next() % UInt64(naive.count))]
            breaks.note(in: words, mask: ~noise, size: 4096)
            breaks.expect(0..<other)
            breaks.expect(other + 1..<512)
            let hasOther = breaks.hasMore
            #expect(hasOther, "round \(round), word \(other)")
            breaks.expect(other)
            let hasMore = breaks.hasMore
            #expect(!hasMore, "round \(round)")
        }
    }
}
