import IOMMUModel
import Testing

@testable import Scenario

@Suite("Frames for new table pages")
struct FrameFinderTests {
    func range(_ first: UInt64, _ last: UInt64) -> PhysicalRange {
        PhysicalRange(first: PhysicalAddress(first), last: PhysicalAddress(last))!
    }

    @Test("Every page is RAM, unused, and taken once", arguments: 0..<20)
    func againstBruteForce(seed start: Int) throws {
        var seed = UInt64(start) &+ 1
        func next(_ bound: UInt64) -> UInt64 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (seed >> 33) % bound
        }
        let ram = [range(0x1000, 0x9fbff), range(0x10_0000, 0x17_ffff)]
        let used = (0..<12).map { _ in
            let first = next(0x18_0000)
            return range(first, first + next(0x9000))
        }
        var expected: Set<UInt64> = []
        for page in 0..<UInt64(0x180) {
            let bytes = range(page << 12, page << 12 | 0xfff)
            if ram.contains(where: { $0.contains(bytes) }), !used.contains(where: { $0.overlaps(bytes) }) {
                expected.insert(page)
            }
        }
        var finder = FrameFinder(ram: ram, used: used)
        #expect(finder.count == UInt64(expected.count))
        var taken: Set<UInt64> = []
        while finder.count > 0 {
            let wanted = min(finder.count, 1 + next(30))
            let ranges = finder.take(wanted)
            for range in try #require(ranges) {
                for page in range.first.page...range.last.page { #expect(taken.insert(page).inserted) }
            }
        }
        #expect(taken == expected)
        let more = finder.take(1)
        #expect(more == nil)
    }

    @Test("One contiguous range is taken when there is one")
    func contiguous() throws {
        var finder = FrameFinder(ram: [range(0, 0xffff), range(0x20000, 0x21fff)], used: [])
        let first = finder.take(3)
        #expect(first == [range(0xd000, 0xffff)])
        let second = finder.take(2)
        #expect(second == [range(0x20000, 0x21fff)])
        let third = finder.take(13)
        #expect(third == [range(0, 0xcfff)])
    }
}
