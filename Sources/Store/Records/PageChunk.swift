import IOMMUModel
import Snapshot

/// Up to 256 pages of one owner (a domain's page tables, a unit's lookup structures) as one row: a directory of 16-byte
/// big-endian records and, one after the other, the pages' runs (``PageRuns``).
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 8 | address of the page, 4 KiB aligned |
/// | 8 | 1 | level, or the kind of a lookup structure |
/// | 9 | 3 | 0 |
/// | 12 | 4 | end of its runs in `runs`; they begin where those of the page before end |
package enum PageChunk {
    package static let directoryBytes = 16
    /// Pages per row.
    package static let pagesPerRow = 256

    /// Writes the pages of `owner` through `row`, whose table has none of them yet. `buffer` holds at least one row's
    /// directory. The runs are bound where they lie.
    static func write(
        _ pages: PageSet, owner: UInt32, to row: TableWriter, buffer: UnsafeMutableRawBufferPointer
    ) throws(StoreError) {
        var start = 0
        while start < pages.count {
            let end = min(start + pagesPerRow, pages.count)
            try writeRow(
                pages, start..<end, owner: owner, id: Int64(bitPattern: row.entry.rowCount) + 1, .insert, to: row,
                buffer: buffer)
            start = end
        }
    }

    /// Brings the rows of `owner` to hold `pages`, all of them: only what is different is written.
    static func replace(
        _ pages: PageSet, owner: UInt32, rows: inout ChunkRows, to row: TableWriter,
        buffer: UnsafeMutableRawBufferPointer
    ) throws(StoreError) {
        let entries = pages.entries
        func key(_ index: Int) -> UInt64 { entries[index].address.rawValue }
        let former = rows.rows(of: owner)
        var now: [ChunkRows.Row] = []
        for piece in ChunkRows.cut(entries.count, limit: pagesPerRow, along: former, key: key) {
            let first = key(piece.range.lowerBound)
            let place = ChunkRows.Row(
                id: piece.row?.id ?? rows.newID(), boundary: min(piece.row?.boundary ?? first, first))
            now.append(place)
            try writeRow(pages, piece.range, owner: owner, id: place.id, .replace, to: row, buffer: buffer)
        }
        let kept = Set(now.map(\.id))
        try row.remove(former.map(\.id).filter { !kept.contains($0) })
        rows.set(now, of: owner)
    }

    private static func writeRow(
        _ pages: PageSet, _ range: Range<Int>, owner: UInt32, id: Int64, _ mode: TableWriter.Mode,
        to row: TableWriter, buffer: UnsafeMutableRawBufferPointer
    ) throws(StoreError) {
        guard let base = buffer.baseAddress else { return }
        let entries = pages.entries[range]
        guard let first = entries.first, let last = entries.last else { return }
        var place = base
        for entry in entries {
            guard entry.address.pageOffset == 0 else {
                throw .unrepresentable(
                    table: row.table.name, key: "owner \(owner)", what: "\(entry.address) is no page boundary")
            }
            encode(Entry(address: entry.address, level: entry.level, end: entry.end &- first.start), to: place)
            place += directoryBytes
        }
        try pages.bytes.withUnsafeBufferPointer { (bytes) throws(StoreError) in
            let runs = UnsafeRawBufferPointer(bytes)
            row.begin(mode)
            try row.integer(id)
            try row.integer(owner)
            try row.page(first.address)
            try row.page(last.address)
            try row.integer(Int64(entries.count))
            try row.blob(UnsafeRawBufferPointer(start: base, count: entries.count * directoryBytes))
            try row.blob(UnsafeRawBufferPointer(rebasing: runs[Int(first.start)..<Int(last.end)]))
            try row.finish()
        }
    }

    /// One record of a directory.
    package struct Entry: Sendable, Hashable {
        package var address: PhysicalAddress
        package var level: UInt8
        package var end: UInt32
    }

    /// Writes the 16 bytes of `entry`.
    @inline(__always)
    package static func encode(_ entry: Entry, to record: UnsafeMutableRawPointer) {
        record.storeBytes(of: entry.address.rawValue.bigEndian, as: UInt64.self)
        record.storeBytes(of: (UInt32(entry.level) &<< 24).bigEndian, toByteOffset: 8, as: UInt32.self)
        record.storeBytes(of: entry.end.bigEndian, toByteOffset: 12, as: UInt32.self)
    }

    /// Reads 16 bytes; `nil` when the address is no page boundary or the reserved bytes are set.
    package static func decode(_ record: UnsafeRawPointer) -> Entry? {
        let address = UInt64(bigEndian: record.loadUnaligned(as: UInt64.self))
        let level = UInt32(bigEndian: record.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        guard address & 0xfff == 0, level & 0xff_ffff == 0 else { return nil }
        return Entry(
            address: PhysicalAddress(address), level: UInt8(truncatingIfNeeded: level >> 24),
            end: UInt32(bigEndian: record.loadUnaligned(fromByteOffset: 12, as: UInt32.self)))
    }

    /// The owner of the current row, which stands before the pages.
    static func readOwner(from row: RowReader) throws(RowDefect) -> UInt32 {
        _ = try row.integer(1...Int64.max)
        return try row.integer()
    }

    /// Adds the pages of the current row, whose owner has been read. `damaged` is told each page that cannot be decoded or
    /// stands out of order in the row; the others are added.
    static func readPages(
        from row: RowReader, into pages: inout PageSetBuilder, damaged: (_ what: String) -> Void
    ) throws(RowDefect) {
        let first: PhysicalAddress = try row.page()
        let last: PhysicalAddress = try row.page()
        let count = Int(try row.integer(1...Int64(pagesPerRow)))
        let directory = try row.blob(count * directoryBytes)
        let runs = try row.blob()
        guard let base = directory.baseAddress else { throw row.defect("cannot be read") }
        guard pages.byteCount + runs.count <= Int(UInt32.max) else {
            throw row.defect("is more than a page set holds")
        }
        withUnsafeTemporaryAllocation(of: PageSet.Entry.self, capacity: count) { room in
            var sound = 0
            var start = 0
            var lastEntry: Entry?
            for index in 0..<count {
                guard let entry = decode(base + index &* directoryBytes) else {
                    damaged("directory record \(index) is no page")
                    continue
                }
                if index == 0, entry.address != first { damaged("first_page differs") }
                lastEntry = entry
                let end = Int(entry.end)
                guard start <= end, end <= runs.count else {
                    damaged("runs of page \(entry.address) end at \(end), expected \(start) to \(runs.count)")
                    continue
                }
                let from = start
                start = end
                do {
                    try PageRuns.validate(
                        UnsafeRawBufferPointer(rebasing: runs[from..<end]), readable: runs.count &- from)
                } catch {
                    damaged("runs of page \(entry.address): \(error)")
                    continue
                }
                if sound > 0 {
                    let before = room[sound &- 1]
                    guard before.address != entry.address ? before.address < entry.address : before.level < entry.level
                    else {
                        damaged("page \(entry.address) is out of order")
                        continue
                    }
                }
                room.initializeElement(
                    at: sound,
                    to: PageSet.Entry(
                        address: entry.address, level: entry.level, start: UInt32(from), end: UInt32(end)))
                sound &+= 1
            }
            if start != runs.count { damaged("\(runs.count - start) bytes follow the last page's runs") }
            if let lastEntry, lastEntry.address != last { damaged("last_page differs") }
            pages.add(UnsafeMutableBufferPointer(rebasing: room[..<sound]), encoded: runs)
        }
    }
}
