import IOMMUModel
import Snapshot

/// Areas of one IOAS as one row of `area_chunk`: 32-byte big-endian records, so that `hex(substr(…))` of a field in plain
/// SQL is the address.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 8 | first IOVA |
/// | 8 | 8 | last IOVA, inclusive |
/// | 16 | 8 | offset in the backing |
/// | 24 | 4 | backing id |
/// | 28 | 2 | protection: 1 read, 2 write |
/// | 30 | 2 | flags, 0 |
package enum AreaChunk {
    package static let recordBytes = 32
    /// Areas per row as this program writes them; a reader takes 1 to 4,096. By measurement: larger rows gain little.
    package static let areasPerRow = 2048
    static let maximumAreas = 4096

    /// Writes `areas`, which are sorted by IOAS and first IOVA, through `row`, whose table has no row yet. `buffer` holds at
    /// least one row's records.
    static func write(
        _ areas: UnsafeBufferPointer<AreaRecord>, to row: TableWriter, buffer: UnsafeMutableRawBufferPointer
    ) throws(StoreError) {
        var start = 0
        while start < areas.count {
            let ioas = areas[start].ioas
            var end = start + 1
            while end < areas.count, end &- start < areasPerRow, areas[end].ioas == ioas { end &+= 1 }
            try writeRow(
                UnsafeBufferPointer(rebasing: areas[start..<end]), id: Int64(bitPattern: row.entry.rowCount) + 1,
                .insert, to: row, buffer: buffer)
            start = end
        }
    }

    /// Brings the rows of `ioas` to hold `areas`, all of them: only what is different is written.
    static func replace(
        _ areas: UnsafeBufferPointer<AreaRecord>, of ioas: IOASID, rows: inout ChunkRows, to row: TableWriter,
        buffer: UnsafeMutableRawBufferPointer
    ) throws(StoreError) {
        func key(_ index: Int) -> UInt64 { areas[index].range.first.rawValue }
        let former = rows.rows(of: ioas.rawValue)
        let pieces = ChunkRows.cut(areas.count, limit: areasPerRow, along: former, key: key)
        var now: [ChunkRows.Row] = []
        for piece in pieces {
            let first = key(piece.range.lowerBound)
            let place = ChunkRows.Row(
                id: piece.row?.id ?? rows.newID(), boundary: min(piece.row?.boundary ?? first, first))
            now.append(place)
            try writeRow(
                UnsafeBufferPointer(rebasing: areas[piece.range]), id: place.id, .replace, to: row, buffer: buffer)
        }
        let kept = Set(now.map(\.id))
        try row.remove(former.map(\.id).filter { !kept.contains($0) })
        rows.set(now, of: ioas.rawValue)
    }

    /// One row of `areas`, at least one and all of one IOAS.
    private static func writeRow(
        _ areas: UnsafeBufferPointer<AreaRecord>, id: Int64, _ mode: TableWriter.Mode, to row: TableWriter,
        buffer: UnsafeMutableRawBufferPointer
    ) throws(StoreError) {
        guard let base = buffer.baseAddress else { return }
        let ioas = areas[0].ioas
        var previous: UInt64 = 0
        for index in 0..<areas.count {
            let area = areas[index]
            guard area.range.first.rawValue >= previous else {
                throw .unrepresentable(
                    table: row.table.name, key: "ioas=\(ioas)", what: "areas are not sorted at \(area.range.first)")
            }
            guard area.protection.rawValue <= 3 else {
                throw .unrepresentable(
                    table: row.table.name, key: "ioas=\(ioas)",
                    what: "protection \(area.protection.rawValue) of \(area.range.first)")
            }
            previous = area.range.first.rawValue
            encode(area, to: base + index &* recordBytes)
        }
        row.begin(mode)
        try row.integer(id)
        try row.integer(ioas.rawValue)
        try row.integer(Int64(areas[0].range.first.page))
        try row.integer(Int64(areas[areas.count - 1].range.last.page))
        try row.integer(Int64(areas.count))
        try row.blob(UnsafeRawBufferPointer(start: base, count: areas.count &* recordBytes))
        try row.finish()
    }

    /// Writes the 32 bytes of `area`.
    @inline(__always)
    package static func encode(_ area: AreaRecord, to record: UnsafeMutableRawPointer) {
        record.storeBytes(of: area.range.first.rawValue.bigEndian, as: UInt64.self)
        record.storeBytes(of: area.range.last.rawValue.bigEndian, toByteOffset: 8, as: UInt64.self)
        record.storeBytes(of: area.offset.bigEndian, toByteOffset: 16, as: UInt64.self)
        record.storeBytes(of: area.backing.rawValue.bigEndian, toByteOffset: 24, as: UInt32.self)
        record.storeBytes(of: UInt16(area.protection.rawValue).bigEndian, toByteOffset: 28, as: UInt16.self)
        record.storeBytes(of: area.flags.bigEndian, toByteOffset: 30, as: UInt16.self)
    }

    /// Reads 32 bytes; `nil` when the range is upside down or the protection has unknown bits.
    @inline(__always)
    package static func decode(_ record: UnsafeRawPointer, ioas: IOASID) -> AreaRecord? {
        func word(_ offset: Int) -> UInt64 {
            UInt64(bigEndian: record.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        // Backing, protection, flags.
        let last = word(24)
        guard let range = IOVARange(first: IOVA(word(0)), last: IOVA(word(8))), last & 0xfffc_0000 == 0 else {
            return nil
        }
        return AreaRecord(
            ioas: ioas, range: range, backing: BackingID(UInt32(truncatingIfNeeded: last &>> 32)), offset: word(16),
            protection: Protection(rawValue: UInt8(truncatingIfNeeded: last &>> 16)),
            flags: UInt16(truncatingIfNeeded: last))
    }

    /// Adds the areas of the current row. `damaged` is told each record that cannot be decoded or stands out of order; the
    /// others are added.
    static func read(
        from row: RowReader, into areas: inout AreaSink, damaged: (_ what: String) -> Void
    ) throws(RowDefect) {
        _ = try row.integer(1...Int64.max)
        let ioas = IOASID(try row.integer())
        let first: IOVA = try row.page()
        let last: IOVA = try row.page()
        let count = Int(try row.integer(1...Int64(maximumAreas)))
        let records = try row.blob(count * recordBytes)
        guard let base = records.baseAddress else { throw row.defect("cannot be read") }
        guard count <= areas.left else { throw row.defect("has more records than all rows say") }
        if let area = decode(base, ioas: ioas) { areas.beginRow(of: ioas, first: area.range) }
        if !areas.append(count, { decode(base + $0 &* recordBytes, ioas: ioas) }) {
            tellDamage(base, count, ioas, &areas, damaged)
        }
        guard decode(base, ioas: ioas)?.range.first.page == first.page else { throw row.defect("first_page differs") }
        guard decode(base + (count - 1) * recordBytes, ioas: ioas)?.range.last.page == last.page else {
            throw row.defect("last_page differs")
        }
    }

    /// As ``read(from:into:damaged:)``, of records of which some are not what they must be, or not in order.
    private static func tellDamage(
        _ base: UnsafeRawPointer, _ count: Int, _ ioas: IOASID, _ areas: inout AreaSink,
        _ damaged: (_ what: String) -> Void
    ) {
        var previous = IOVARange(first: IOVA(0), last: IOVA(0))!
        for index in 0..<count {
            guard let area = decode(base + index &* recordBytes, ioas: ioas) else {
                damaged("record \(index) is no area")
                continue
            }
            if area.range < previous {
                areas.noteDisorder()
                if area.range.first < previous.first { damaged("record \(index) is out of order") }
            }
            previous = area.range
            areas.append(area)
        }
    }
}
