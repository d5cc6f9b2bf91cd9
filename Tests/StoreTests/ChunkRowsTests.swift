import Testing

@testable import Store

/// Where the cuts between rows are.
@Suite("Rows of chunks")
struct ChunkRowsTests {
    private static func row(_ id: Int64, _ boundary: UInt64) -> ChunkRows.Row { .init(id: id, boundary: boundary) }

    private static func cut(_ keys: [UInt64], _ rows: [ChunkRows.Row], limit: Int = 64) -> [ChunkRows.Piece] {
        ChunkRows.cut(keys.count, limit: limit, along: rows) { keys[$0] }
    }

    @Test("Without rows everything is one piece, or as many even ones as it takes")
    func fresh() {
        #expect(Self.cut([], []) == [])
        #expect(Self.cut([5, 7], []) == [.init(row: nil, range: 0..<2)])
        #expect(Self.cut(Array(0..<64), []) == [.init(row: nil, range: 0..<64)])
        let pieces = Self.cut(Array(0..<130), [])
        #expect(pieces.map(\.range) == [0..<43, 43..<86, 86..<130])
    }

    @Test("Boundaries stay, what lies before the first belongs to the first row")
    func boundaries() {
        let rows = [Self.row(1, 100), Self.row(7, 200), Self.row(3, 300)]
        let keys = (0..<120 as Range<UInt64>).map { 50 + $0 * 3 }
        let pieces = Self.cut(keys, rows)
        #expect(pieces.map(\.row) == rows)
        #expect(pieces[0].range.upperBound == keys.firstIndex { $0 >= 200 })
        #expect(pieces[1].range.upperBound == keys.firstIndex { $0 >= 300 })
    }

    @Test("A row that grew too large is cut, keeps its number for the first half, and its neighbours stay")
    func split() {
        let rows = [Self.row(1, 0), Self.row(2, 1000), Self.row(3, 2000)]
        let keys = Array(0..<50 as Range<UInt64>) + Array(1000..<1070) + Array(2000..<2050)
        let pieces = Self.cut(keys, rows)
        #expect(pieces.map { $0.row?.id } == [1, 2, nil, 3])
        #expect(pieces.map(\.range) == [0..<50, 50..<85, 85..<120, 120..<170])
    }

    @Test("An empty row is left without anything; rows that fit into half a one are merged")
    func merge() {
        let rows = [Self.row(1, 0), Self.row(2, 1000), Self.row(3, 2000), Self.row(4, 3000)]
        let keys = Array(0..<60 as Range<UInt64>) + Array(2000..<2010) + Array(3000..<3022)
        #expect(Self.cut(keys, rows).map { $0.row?.id } == [1, 3])
        #expect(Self.cut(keys, rows).map(\.range) == [0..<60, 60..<92])
        #expect(Self.cut(keys + [3022], rows).map { $0.row?.id } == [1, 3, 4])
        #expect(Self.cut([], rows) == [])
    }

    @Test("Equal keys stay in one row")
    func equalKeys() {
        let keys = (0..<200 as Range<UInt64>).map { $0 / 5 }
        let pieces = Self.cut(keys, [])
        for (a, b) in zip(pieces, pieces.dropFirst()) {
            #expect(keys[a.range.upperBound - 1] < keys[b.range.lowerBound])
        }
        #expect(pieces.allSatisfy { $0.range.count <= 64 })
        #expect(Self.cut(Array(repeating: 1, count: 100), []).allSatisfy { $0.range.count <= 64 })
    }

    @Test("Any rows, any keys: nothing is lost, nothing is too large, order holds", arguments: 0..<200 as Range<UInt64>)
    func random(seed: UInt64) {
        var state = seed &* 0x9e37_79b9_7f4a_7c15
        func next(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1
            return (state >> 33) % bound
        }
        let keys = (0..<next(400)).map { _ in next(5000) }.sorted()
        let boundaries = Set((0..<next(8)).map { _ in next(5000) }).sorted()
        let rows = boundaries.enumerated().map { Self.row(Int64($0 + 1), $1) }
        let pieces = Self.cut(keys, rows)
        #expect(pieces.flatMap { Array($0.range) } == Array(keys.indices))
        #expect(pieces.allSatisfy { (1...64).contains($0.range.count) })
        let ids = pieces.compactMap { $0.row?.id }
        #expect(ids == ids.sorted() && Set(ids).count == ids.count)
        for (a, b) in zip(pieces, pieces.dropFirst()) where b.row != nil {
            #expect(keys[a.range.upperBound - 1] < b.row!.boundary && keys[b.range.lowerBound] >= b.row!.boundary)
        }
    }
}
