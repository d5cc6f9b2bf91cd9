import CVector
import Glibc
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
    private static let ways = domstore_is_wide() ? [false, true] : [false]

    @Test(arguments: ways, [12, 21, 57] as [UInt64])
    func `the breaks of a table are the words that do not continue the one before`(isWide: Bool, sizeLog2: UInt64) {
        var random = SplitMix(seed: 11)
        let noise: UInt64 = 1 << 5 | 1 << 9
        let size: UInt64 = 1 << sizeLog2
        var breaks = EntryBreaks(isWide: isWide)
        for round in 0..<200 {
            // Some without a single run, some that go on over the end of 64 bits, some with breaks where groups end.
            let words =
                switch round % 10 {
                case 0: (0..<512).map { _ in random.next() }
                case 1: (0..<512).map { (0 &- size &* 100 &+ $0 &* size) & ~noise | random.next() & noise }
                case 2: (0..<512).map { $0 &* size &+ ([63, 64, 448, 511].contains($0) ? size &* 7 : 0) }
                default: Self.table(&random, sizeLog2: sizeLog2, slotsLog2: 0, noise: noise)
                } as [UInt64]
            breaks.find(in: words, mask: ~noise, size: size)
            let naive = (0..<512).filter { $0 == 0 || words[$0] & ~noise != words[$0 - 1] & ~noise &+ size }
            for (number, place) in (naive + [512]).enumerated() { #expect(breaks[number] == place) }
            // All but one are expected, then that one too.
            let other = naive[Int(random.next() % UInt64(naive.count))]
            breaks.note(in: words, mask: ~noise, size: size)
            for place in naive where place != other && place % 3 == 0 { breaks.expect(place) }
            var from = 0
            while from < 512 {
                let to = min(from + 1 + Int(random.next() % 200), from <= other ? other : 512)
                if to > from { breaks.expect(from..<to) }
                from = max(to, from == other ? other + 1 : to)
            }
            let hasOther = breaks.hasMore
            #expect(hasOther, "round \(round), word \(other)")
            breaks.expect(other)
            let hasMore = breaks.hasMore
            #expect(!hasMore, "round \(round)")
        }
    }

    @Test(arguments: ways)
    func `no word but those of the table is read`(isWide: Bool) throws {
        // Nobody may read the pages on both sides.
        let pages = mmap(nil, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | Int32(MAP_ANONYMOUS), -1, 0)
        let memory = try #require(pages != MAP_FAILED ? pages : nil)
        defer { munmap(memory, 3 * 4096) }
        let isClosed = mprotect(memory, 4096, PROT_NONE) == 0 && mprotect(memory + 8192, 4096, PROT_NONE) == 0
        try #require(isClosed)
        let words = (memory + 4096).assumingMemoryBound(to: UInt64.self)
        for index in 0..<512 { words[index] = UInt64(index) << 12 }
        var breaks = EntryBreaks(isWide: isWide)
        breaks.find(in: words, mask: ~0, size: 4096)
        let found = [breaks[0], breaks[1]]
        #expect(found == [0, 512])
    }
}
