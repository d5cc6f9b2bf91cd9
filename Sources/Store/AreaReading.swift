import IOMMUModel
import SQLite
import Snapshot

/// All areas of a file, as they were read.
struct AreaReading: Sendable {
    var areas: [AreaRecord] = []
    /// The address spaces that have some, each once where ``isInOrder``.
    var owners: [IOASID] = []
    /// They are in the order of a normalised snapshot.
    var isInOrder = true
    /// What their rows amount to.
    var entry = Manifest.Entry()
    /// What is wrong with them.
    var defects: [StoreDefect] = []
    /// Why reading ended early.
    var failure: StoreError?

    /// Reads them from a file of so many bytes.
    init(_ connection: borrowing Connection, fileBytes: UInt64) {
        do throws(StoreError) {
            try read(connection, count: try Self.count(connection, fileBytes: fileBytes))
        } catch { failure = error }
    }

    /// None: reading failed before there could be any.
    init(failure: StoreError) { self.failure = failure }

    private mutating func read(_ connection: borrowing Connection, count: Int) throws(StoreError) {
        var (owners, isInOrder, entry) = (owners, isInOrder, entry)
        var defects: [StoreDefect] = []
        var failure: StoreError?
        areas = Array(unsafeUninitializedCapacity: count) { room, count in
            HugePages.advise(UnsafeMutableRawBufferPointer(room))
            var sink = AreaSink(room)
            do throws(StoreError) {
                entry = try TableCheck.read(.areaChunk, connection) { (row) throws(RowDefect) in
                    try AreaChunk.read(from: row, into: &sink) { what in
                        defects.append(
                            StoreDefect(
                                rule: .recordMalformed, table: RecordTable.areaChunk.name, key: row.key(),
                                message: what))
                    }
                } defect: {
                    defects.append($0)
                }
            } catch { failure = error }
            (count, isInOrder, owners) = (sink.count, sink.isInOrder, sink.owners)
        }
        (self.owners, self.isInOrder, self.entry, self.defects) = (owners, isInOrder, entry, defects)
        if let failure { throw failure }
    }

    /// What the chunks say, and no more than the file can hold.
    private static func count(_ connection: borrowing Connection, fileBytes: UInt64) throws(StoreError) -> Int {
        let most = Int(clamping: fileBytes) / AreaChunk.recordBytes
        do throws(SQLiteError) {
            let statement = try connection.prepare("SELECT sum(record_count) FROM area_chunk")
            guard try statement.step(), case .integer(let count) = statement.value(0) else { return 0 }
            return min(max(0, Int(clamping: count)), most)
        } catch { throw StoreError(error) }
    }
}
