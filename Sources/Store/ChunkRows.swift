/// Which rows hold the chunks of each owner: areas of an address space, pages of a domain or a unit. Kept in memory by the
/// writer, so that a change is written to the one row that it falls into.
///
/// Each row has the keys from its boundary up to the next one's. Boundaries stay as they are while there is something
/// between them: what did not change is in the row that it was in, with the same bytes.
struct ChunkRows {
    struct Row: Equatable {
        var id: Int64
        /// No key of this row is below, unless it is the first row of its owner.
        var boundary: UInt64
    }

    /// One row to be written: `row` is the one that it replaces.
    struct Piece: Equatable {
        var row: Row?
        var range: Range<Int>
    }

    private var rows: [UInt32: [Row]] = [:]
    private var lastID: Int64 = 0
    /// The rows of owners that the running transaction has changed, as they were.
    private var former: [UInt32: [Row]] = [:]
    private var committedID: Int64 = 0

    /// The rows of `owner`, ascending by boundary.
    func rows(of owner: UInt32) -> [Row] { rows[owner] ?? [] }

    /// The number of a row that there was never before.
    mutating func newID() -> Int64 {
        lastID += 1
        return lastID
    }

    mutating func set(_ new: [Row], of owner: UInt32) {
        if former[owner] == nil { former[owner] = rows[owner] ?? [] }
        rows[owner] = new.isEmpty ? nil : new
    }

    mutating func commit() {
        former.removeAll()
        committedID = lastID
    }

    mutating func rollBack() {
        for (owner, old) in former { rows[owner] = old.isEmpty ? nil : old }
        former.removeAll()
        lastID = committedID
    }

    /// Cuts `count` things along `rows`; `key` is ascending in them.
    ///
    /// A piece of more than `limit` is cut evenly, not between equal keys as long as that can be avoided; one that fits with
    /// its neighbour into half a row is merged with it. A row that no piece names is left without anything.
    static func cut(_ count: Int, limit: Int, along rows: [Row], key: (Int) -> UInt64) -> [Piece] {
        var pieces: [Piece] = []
        var start = 0
        for (index, row) in rows.enumerated() {
            var end = count
            if index + 1 < rows.count {
                end = start
                var high = count
                while end < high {
                    let middle = (end + high) / 2
                    if key(middle) < rows[index + 1].boundary { end = middle + 1 } else { high = middle }
                }
            }
            add(Piece(row: row, range: start..<end), limit, to: &pieces)
            start = end
        }
        add(Piece(row: nil, range: start..<count), limit, to: &pieces)
        return pieces.flatMap { split($0, limit, key) }
    }

    private static func add(_ piece: Piece, _ limit: Int, to pieces: inout [Piece]) {
        guard !piece.range.isEmpty else { return }
        if let last = pieces.last, last.range.count + piece.range.count <= limit / 2 {
            pieces[pieces.count - 1].range = last.range.lowerBound..<piece.range.upperBound
        } else {
            pieces.append(piece)
        }
    }

    private static func split(_ piece: Piece, _ limit: Int, _ key: (Int) -> UInt64) -> [Piece] {
        guard piece.range.count > limit else { return [piece] }
        // Some room, since equal keys may move a cut.
        let room = limit - limit / 16
        let parts = (piece.range.count + room - 1) / room
        var result: [Piece] = []
        var start = piece.range.lowerBound
        for part in 1...parts {
            let even = piece.range.lowerBound + piece.range.count * part / parts
            var end = even
            while end < piece.range.upperBound, end > start, key(end - 1) == key(end) { end -= 1 }
            if end == start { end = even }
            result.append(Piece(row: start == piece.range.lowerBound ? piece.row : nil, range: start..<end))
            start = end
        }
        return result
    }
}
