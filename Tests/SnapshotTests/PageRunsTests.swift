import IOMMUModel
import Testing

@testable import Snapshot

@Suite("Page runs")
struct PageRunsTests {
    static func random(_ seed: inout UInt64) -> UInt64 {
        seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        var x = seed
        x ^= x >> 33
        x = x &* 0xff51_afd7_ed55_8ccd
        return x ^ (x >> 29)
    }

    func roundTrip(_ words: [UInt64]) throws -> Int {
        var bytes: [UInt8] = []
        words.withUnsafeBufferPointer { PageRuns.encode($0.baseAddress!, into: &bytes) }
        var back = [UInt64](repeating: 1, count: 512)
        try bytes.withUnsafeBytes { encoded in
            try PageRuns.validate(encoded)
            back.withUnsafeMutableBufferPointer { PageRuns.decode(encoded, into: $0.baseAddress!) }
            var fromRuns = [UInt64](repeating: 2, count: 512)
            PageRuns.forEachRun(encoded) { index, first, stride, count in
                for k in 0..<count { fromRuns[index + k] = first &+ UInt64(k) &* stride }
            }
            #expect(fromRuns == words)
        }
        #expect(back == words)
        return bytes.count
    }

    @Test("Consecutive 4K leaves take a dozen bytes")
    func dense() throws {
        #expect(try roundTrip((0..<512).map { 0x1_4400_0003 &+ UInt64($0) &* 4096 }) <= 12)
    }

    @Test("An empty page takes three bytes")
    func empty() throws { #expect(try roundTrip(.init(repeating: 0, count: 512)) == 3) }

    @Test("Random words take the raw form")
    func raw() throws {
        var seed: UInt64 = 7
        #expect(try roundTrip((0..<512).map { _ in Self.random(&seed) }) == 4097)
    }

    @Test(
        "Strides that pass through zero, wrap or fall survive", arguments: [UInt64.max, 1, 4096, 0x8000_0000_0000_0000])
    func awkwardStrides(stride: UInt64) throws {
        _ = try roundTrip((0..<512).map { 5 &+ (UInt64($0) &- 7) &* stride })
        _ = try roundTrip((0..<512).map { (UInt64($0) &- 300) &* stride })
    }

    @Test("Pages of random runs come back equal", arguments: 0..<40)
    func randomRuns(seed start: Int) throws {
        var seed = UInt64(start) &* 977 &+ 1
        var words: [UInt64] = []
        while words.count < 512 {
            let count = Int(Self.random(&seed) % 64) + 1
            let first = Self.random(&seed) % 3 == 0 ? 0 : Self.random(&seed) & 0x000f_ffff_ffff_f003
            let stride: UInt64 = [0, 4096, 0x20_0000, Self.random(&seed)][Int(Self.random(&seed) % 4)]
            for k in 0..<min(count, 512 - words.count) { words.append(first == 0 ? 0 : first &+ UInt64(k) &* stride) }
        }
        _ = try roundTrip(words)
    }

    @Test("No sequence of bytes makes the decoder trap, and what validates decodes to 512 words")
    func hostileBytes() {
        var seed: UInt64 = 99
        for _ in 0..<20_000 {
            let count = Int(Self.random(&seed) % 40)
            var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: Self.random(&seed) >> 20) }
            if count > 0, Self.random(&seed) % 4 != 0 { bytes[0] = 1 }
            var words = [UInt64](repeating: 3, count: 513)
            bytes.withUnsafeBytes { encoded in
                try? PageRuns.validate(encoded)
                words.withUnsafeMutableBufferPointer { PageRuns.decode(encoded, into: $0.baseAddress!) }
            }
            #expect(words[512] == 3)
        }
    }

    @Test("The runs of a page are listed as they are told one by one", arguments: 0..<16)
    func listed(seed start: Int) {
        var seed = UInt64(start) &* 271 &+ 5
        var set = PageSet()
        var pages: [[UInt64]] = []
        for number in 0..<40 {
            var words: [UInt64] = []
            while words.count < 512 {
                // Every length of a number, so every length of a run; raw pages too.
                let count = min(Int(Self.random(&seed) % [2, 60, 400][number % 3]) + 1, 512 - words.count)
                let first = Self.random(&seed) >> (Self.random(&seed) % 64)
                let stride: UInt64 = [0, 4096, 4096, 0x20_0000][Int(Self.random(&seed) % 4)]
                for k in 0..<count { words.append(first &+ UInt64(k) &* stride) }
            }
            set.append(address: PhysicalAddress(UInt64(number) << 12), level: 0, words: words)
            pages.append(words)
        }
        for (number, words) in pages.enumerated() {
            var told: [RecordedWords] = []
            set.withEncoded(number) { encoded in
                PageRuns.forEachRun(encoded) { told.append(.init(first: $1, stride: $2, count: $3)) }
            }
            let listed = [RecordedWords](unsafeUninitializedCapacity: 512) { buffer, count in
                count = set.words(of: number, into: buffer.baseAddress!)
            }
            #expect(listed == told)
            #expect(listed.flatMap { run in (0..<run.count).map { run.first &+ UInt64($0) &* run.stride } } == words)
        }
    }

    @Test("What stands behind a page, and may be looked at, decides nothing", arguments: 0..<8)
    func behind(seed start: Int) {
        func verdict(_ bytes: UnsafeRawBufferPointer, _ readable: Int) -> PageRuns.Malformed? {
            do throws(PageRuns.Malformed) { try PageRuns.validate(bytes, readable: readable) } catch { return error }
            return nil
        }
        var seed = UInt64(start) &* 31 &+ 7
        var sound = 0
        for _ in 0..<4000 {
            var words: [UInt64] = []
            while words.count < 512 {
                let count = min(Int(Self.random(&seed) % 90) + 1, 512 - words.count)
                let first = Self.random(&seed) >> (Self.random(&seed) % 64)
                let stride: UInt64 = [0, 4096, 0x20_0000, Self.random(&seed)][Int(Self.random(&seed) % 4)]
                for k in 0..<count { words.append(first &+ UInt64(k) &* stride) }
            }
            var bytes: [UInt8] = []
            PageRuns.encode(words, into: &bytes)
            // Whole, a byte changed, cut off, or longer.
            let place = Int(Self.random(&seed) % UInt64(bytes.count))
            switch Self.random(&seed) % 4 {
            case 0: break
            case 1: bytes[place] = UInt8(truncatingIfNeeded: Self.random(&seed) >> 9)
            case 2: bytes.removeLast(bytes.count - place)
            default: bytes.insert(0x80, at: place)
            }
            let count = bytes.count
            for _ in 0..<24 { bytes.append(UInt8(truncatingIfNeeded: Self.random(&seed) >> 9)) }
            bytes.withUnsafeBytes { bytes in
                let page = UnsafeRawBufferPointer(rebasing: bytes[..<count])
                let alone = [UInt8](page).withUnsafeBytes { verdict($0, 0) }
                #expect(verdict(page, bytes.count) == alone)
                if alone == nil { sound += 1 }
                var decoded = [UInt64](repeating: 1, count: 512)
                decoded.withUnsafeMutableBufferPointer { PageRuns.decode(page, into: $0.baseAddress!) }
                var told = [UInt64](repeating: 0, count: 512)
                var next = 0
                PageRuns.forEachRun(page) { index, first, stride, count in
                    for k in 0..<count where index + k < 512 { told[index + k] = first &+ UInt64(k) &* stride }
                    next = index + count
                }
                // The reader that takes every byte by itself agrees.
                if alone == nil { #expect(next == 512 && told == decoded) }
            }
        }
        #expect(sound > 500)
    }

    @Test("Malformed pages are refused with what is wrong")
    func malformed() {
        func refusal(_ bytes: [UInt8]) -> PageRuns.Malformed? {
            bytes.withUnsafeBytes { encoded in
                do throws(PageRuns.Malformed) { try PageRuns.validate(encoded) } catch { return error }
                return nil
            }
        }
        #expect(refusal([]) == .truncated(atByte: 0))
        #expect(refusal([2]) == .unknownForm(2))
        #expect(refusal([0, 1, 2]) == .truncated(atByte: 3))
        #expect(refusal(.init(repeating: 0, count: 4098)) == .trailingBytes(1))
        #expect(refusal([1, 0x84]) == .truncated(atByte: 2))
        // 512 zero words, then a byte too many.
        #expect(refusal([1, 0x80, 0x10, 0]) == .trailingBytes(1))
        // 500 words twice.
        #expect(refusal([1, 0xd0, 0x0f, 0xd0, 0x0f]) == .wrongWordCount(1000))
    }
}
