import IOMMUModel
import Testing

@testable import Validate

@Suite struct RunMergeTests {
    /// What a page maps to in a naive model.
    struct Page: Equatable {
        var physical: UInt64
        var protection: Protection
    }

    struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
    }

    static func runs(of pages: [UInt64: Page], splitting random: inout Random) -> [ExpectedRun] {
        var result: [ExpectedRun] = []
        for number in pages.keys.sorted() {
            let page = pages[number]!
            if let last = result.last, last.range.last.rawValue + 1 == number << 12,
                last.physical.rawValue + last.range.lastOffset + 1 == page.physical, last.protection == page.protection,
                Bool.random(using: &random)
            {
                result[result.count - 1].range = IOVARange(first: last.range.first, last: IOVA(number << 12 | 0xfff))!
            } else {
                result.append(
                    ExpectedRun(
                        range: IOVARange(first: IOVA(number << 12), bytes: 4096)!,
                        physical: PhysicalAddress(page.physical), protection: page.protection))
            }
        }
        return result
    }

    @Test(arguments: 0..<200)
    func `differences equal those of a page by page comparison`(seed: UInt64) {
        var random = Random(state: seed)
        var wanted: [UInt64: Page] = [:]
        var found: [UInt64: Page] = [:]
        let delta = [UInt64(0x10000), 0x20000, 0x10000]
        for number in UInt64(0)..<40 {
            let protection: Protection = Bool.random(using: &random) ? .readWrite : .read
            let page = Page(physical: number << 12 + delta.randomElement(using: &random)!, protection: protection)
            if UInt8.random(in: 0..<8, using: &random) > 1 { wanted[number] = page }
            if UInt8.random(in: 0..<8, using: &random) > 1 { found[number] = page }
            if UInt8.random(in: 0..<8, using: &random) == 0 { found[number]?.physical += 0x5000 }
            if UInt8.random(in: 0..<8, using: &random) == 0 { found[number]?.protection = .write }
        }
        var merge = RunMerge(expected: Self.runs(of: wanted, splitting: &random))
        var missing: Set<UInt64> = []
        var unexpected: Set<UInt64> = []
        var address: Set<UInt64> = []
        var protection: Set<UInt64> = []
        func pages(_ range: IOVARange) -> ClosedRange<UInt64> { range.first.page...range.last.page }
        func note(_ difference: RunDifference) {
            switch difference {
            case .missing(let range, _): missing.formUnion(pages(range))
            case .unexpected(let range, let physical, _):
                unexpected.formUnion(pages(range))
                #expect(physical.rawValue == found[range.first.page]?.physical)
            case .address(let range, let expected, let actual):
                address.formUnion(pages(range))
                #expect(expected.rawValue == wanted[range.first.page]?.physical)
                #expect(actual.rawValue == found[range.first.page]?.physical)
            case .protection(let range, _, _): protection.formUnion(pages(range))
            }
        }
        for run in Self.runs(of: found, splitting: &random) {
            merge.found(run.range, physical: run.physical, protection: run.protection, report: note)
        }
        merge.finish(report: note)
        for number in UInt64(0)..<40 {
            let (want, have) = (wanted[number], found[number])
            #expect(missing.contains(number) == (want != nil && have == nil))
            #expect(unexpected.contains(number) == (want == nil && have != nil))
            #expect(address.contains(number) == (want != nil && have != nil && want!.physical != have!.physical))
            #expect(protection.contains(number) == (want != nil && have != nil && want!.protection != have!.protection))
        }
    }

    @Test func `the last byte of the address space does not overflow`() {
        let run = ExpectedRun(
            range: IOVARange(first: IOVA(.max - 0xfff), last: IOVA(.max))!, physical: PhysicalAddress(0x1000),
            protection: .read)
        let before = ExpectedRun(
            range: IOVARange(first: IOVA(.max - 0x1fff), last: IOVA(.max - 0x1000))!, physical: PhysicalAddress(0),
            protection: .read)
        for expected in [[run], [before, run]] {
            var merge = RunMerge(expected: expected)
            var differences: [RunDifference] = []
            let range = IOVARange(first: expected[0].range.first, last: IOVA(.max))!
            merge.found(range, physical: expected[0].physical, protection: .read) { differences.append($0) }
            merge.finish { differences.append($0) }
            #expect(differences.isEmpty)
        }
        // The last page has another protection, or is nobody's.
        let range = IOVARange(first: before.range.first, last: IOVA(.max))!
        for expected in [
            [before, ExpectedRun(range: run.range, physical: run.physical, protection: .write)], [before],
        ] {
            var merge = RunMerge(expected: expected)
            var differences: [RunDifference] = []
            merge.found(range, physical: before.physical, protection: .read) { differences.append($0) }
            merge.finish { differences.append($0) }
            let wanted: RunDifference =
                expected.count == 2
                ? .protection(run.range, expected: .write, found: .read)
                : .unexpected(run.range, physical: run.physical, protection: .read)
            #expect(differences == [wanted])
        }
    }
}
