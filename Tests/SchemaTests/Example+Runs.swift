import SQLite

@testable import Snapshot

extension Example {
    func verifyVarint() throws {
        try expectNames(["value"])
        var cursor = 0
        let value = bytes.withUnsafeBytes { PageRuns.readVarint($0, &cursor) }
        try expect(value, try word("value"), "value")
        try expect(cursor, bytes.count, "bytes read")
        try expectBytes(Self.varint(try word("value")))
    }

    func verifyZigzag() throws {
        try expectNames(["stride"])
        try expectBytes(Self.varint(PageRuns.zigzag(try word("stride"))))
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        Array(unsafeUninitializedCapacity: 10) { buffer, count in
            var writer = RunWriter(buffer)
            writer.append(value)
            count = writer.count
        }
    }

    /// The words of the page that the fields tell.
    private func words() throws(Mismatch) -> [UInt64] {
        if try number("form", Int.self) == 0 {
            try expectNames(["form", "even", "odd"])
            let (even, odd) = (try word("even"), try word("odd"))
            return (0..<PageRuns.wordCount).map { $0 % 2 == 0 ? even : odd }
        }
        var words: [UInt64] = []
        for field in fields.dropFirst() {
            guard field.name == "run" else { throw Mismatch("\(field.name) is no run") }
            let run = field.values.compactMap { value -> UInt64? in
                if case .integer(let word) = value { UInt64(bitPattern: word) } else { nil }
            }
            guard run.count == 5, run[1] <= UInt64(PageRuns.wordCount) else { throw Mismatch("a run is five numbers") }
            try expect(run[0], UInt64(words.count), "index of a run")
            words += (0..<run[1]).map { run[3] &+ $0 &* run[4] }
        }
        try expect(words.count, PageRuns.wordCount, "words")
        return words
    }

    func verifyPageRuns() throws {
        let words = try words()
        try bytes.withUnsafeBytes { try PageRuns.validate($0) }
        try expect(Int(bytes[0]), try number("form"), "form")
        var decoded = [UInt64](repeating: 1, count: PageRuns.wordCount)
        bytes.withUnsafeBytes { encoded in
            decoded.withUnsafeMutableBufferPointer { PageRuns.decode(encoded, into: $0.baseAddress!) }
        }
        try expect(decoded, words, "words")
        var encoded: [UInt8] = []
        words.withUnsafeBufferPointer { PageRuns.encode($0.baseAddress!, into: &encoded) }
        try expectBytes(encoded)
        if bytes[0] == 1 { try expect(try runs(), fields.dropFirst().map(\.values), "runs") }
    }

    /// The runs as the reader sees them: index, count, kind, first, stride.
    private func runs() throws(Mismatch) -> [[SQLValue]] {
        var result: [[SQLValue]] = []
        var cursor = 1
        var index = 0
        while cursor < bytes.count {
            var peek = cursor
            let run = bytes.withUnsafeBytes { bytes -> (head: UInt64, run: PageRuns.Run)? in
                guard let head = PageRuns.readVarint(bytes, &peek), let run = PageRuns.Run(bytes, &cursor) else {
                    return nil
                }
                return (head, run)
            }
            guard let run else { throw Mismatch("a run cannot be read") }
            let numbers = [UInt64(index), UInt64(run.run.count), run.head & 3, run.run.first, run.run.stride]
            result.append(numbers.map { .integer(Int64(bitPattern: $0)) })
            index += run.run.count
        }
        return result
    }

    /// The kinds of the runs, 0 to 3; empty for the raw form.
    var runKinds: Set<Int64> {
        Set(
            fields.compactMap {
                guard $0.name == "run", $0.values.count == 5, case .integer(let kind) = $0.values[2] else { return nil }
                return kind
            })
    }
}
