import IOMMUModel
import Snapshot

/// Where the areas of all rows go as they are read: memory that is there from the start.
struct AreaSink {
    private let room: UnsafeMutableBufferPointer<AreaRecord>
    /// How many there are so far.
    private(set) var count = 0
    /// They are in the order of a normalised snapshot.
    private(set) var isInOrder = true
    /// Whose they are: each once, where they are in order.
    private(set) var owners: [IOASID] = []

    /// For as many areas as `room` holds, which is not initialized.
    init(_ room: UnsafeMutableBufferPointer<AreaRecord>) { self.room = room }

    /// How many more there is room for.
    var left: Int { room.count - count }

    /// Adds an area, for which there is room.
    @inline(__always)
    mutating func append(_ area: AreaRecord) {
        (room.baseAddress! + count).initialize(to: area)
        count &+= 1
    }

    /// Adds `number` areas, for which there is room, each of them behind the one before; false, and none is added, when one is
    /// not, or is `nil`.
    @inline(__always)
    mutating func append(_ number: Int, _ area: (_ index: Int) -> AreaRecord?) -> Bool {
        let start = room.baseAddress! + count
        var previous: UInt64 = 0
        for index in 0..<number {
            guard let area = area(index), area.range.first.rawValue > previous || index == 0 else { return false }
            previous = area.range.last.rawValue
            (start + index).initialize(to: area)
        }
        count &+= number
        return true
    }

    /// A row of `ioas` begins, whose first record is `first`; within a row there is ``noteDisorder()``.
    mutating func beginRow(of ioas: IOASID, first: IOVARange) {
        if owners.last != ioas { owners.append(ioas) }
        guard count > 0 else { return }
        let last = room[count &- 1]
        if (ioas, first) < (last.ioas, last.range) { isInOrder = false }
    }

    /// The records of a row are not in order.
    mutating func noteDisorder() { isInOrder = false }
}
