import IOMMUModel
import SQLite
import Snapshot

extension GenerationReader {
    /// Reads every record, telling each damaged one and going on.
    borrowing func readSnapshot(_ damaged: (StoreDefect) -> Void) throws(StoreError) -> Snapshot {
        var manifest = Manifest()
        return try readSnapshot(&manifest, damaged)
    }

    /// As ``readSnapshot(_:)``; `manifest` gets the entries that the snapshot's rows amount to.
    borrowing func readSnapshot(
        _ manifest: inout Manifest, _ damaged: (StoreDefect) -> Void
    ) throws(StoreError) -> Snapshot {
        var snapshot = Snapshot(origin: header.origin)
        snapshot.units = try read(&manifest, damaged)
        var registers: [UnitID: [UnitRecord.Register]] = [:]
        for row: UnitRegisterRow in try read(&manifest, damaged) {
            registers[row.unit, default: []].append(row.register)
        }
        for index in snapshot.units.indices {
            snapshot.units[index].registers = registers[snapshot.units[index].id] ?? []
        }
        snapshot.memoryRanges = try read(&manifest, damaged)
        snapshot.groups = try read(&manifest, damaged)
        snapshot.devices = try read(&manifest, damaged)
        snapshot.reservedRegions = try read(&manifest, damaged)
        snapshot.backings = try read(&manifest, damaged)
        snapshot.sessions = try read(&manifest, damaged)
        snapshot.ioases = try read(&manifest, damaged)
        snapshot.domains = try read(&manifest, damaged)
        snapshot.domainUnits = try read(&manifest, damaged)
        snapshot.hwpts = try read(&manifest, damaged)
        snapshot.attachments = try read(&manifest, damaged)
        snapshot.engineState = try read(&manifest, damaged)
        let areAreasInOrder = try readAreas(into: &snapshot.areas, &manifest, damaged)
        snapshot.lookupPages = try pages(.lookupChunk, &manifest, damaged).map {
            UnitPages(unit: UnitID($0.owner), pages: $0.pages)
        }
        snapshot.tablePages = try pages(.tableChunk, &manifest, damaged).map {
            DomainPages(domain: DomainID($0.owner), pages: $0.pages)
        }
        if areAreasInOrder { snapshot.normalizeAllButAreas() } else { snapshot.normalize() }
        return snapshot
    }

    /// Reads all areas; true when they are in the order of a normalised snapshot.
    private borrowing func readAreas(
        into areas: inout [AreaRecord], _ manifest: inout Manifest, _ damaged: (StoreDefect) -> Void
    ) throws(StoreError) -> Bool {
        var failure: StoreError?
        var isInOrder = true
        areas = Array(unsafeUninitializedCapacity: try areaCount()) { room, count in
            HugePages.advise(UnsafeMutableRawBufferPointer(room))
            var sink = AreaSink(room)
            do throws(StoreError) {
                manifest[.areaChunk] = try TableCheck.read(.areaChunk, connection) { (row) throws(RowDefect) in
                    try AreaChunk.read(from: row, into: &sink) { what in
                        damaged(
                            StoreDefect(
                                rule: .recordMalformed, table: RecordTable.areaChunk.name, key: row.key(),
                                message: what))
                    }
                } defect: {
                    damaged($0)
                }
            } catch { failure = error }
            (count, isInOrder) = (sink.count, sink.isInOrder)
        }
        if let failure { throw failure }
        return isInOrder
    }

    /// What the chunks say, and no more than the file can hold.
    private borrowing func areaCount() throws(StoreError) -> Int {
        let most = Int(clamping: header.byteCount) / AreaChunk.recordBytes
        do throws(SQLiteError) {
            let statement = try connection.prepare("SELECT sum(record_count) FROM area_chunk")
            guard try statement.step(), case .integer(let count) = statement.value(0) else { return 0 }
            return min(max(0, Int(clamping: count)), most)
        } catch { throw StoreError(error) }
    }

    private borrowing func read<R: StoredRecord>(
        _ manifest: inout Manifest, _ damaged: (StoreDefect) -> Void
    ) throws(StoreError) -> [R] {
        var found: [R] = []
        manifest[R.table] = try TableCheck.read(R.table, connection) { (row) throws(RowDefect) in
            found.append(try R(from: row))
        } defect: {
            damaged($0)
        }
        return found
    }

    /// The pages of each owner. Its rows may stand in any order: a row that was cut in two while the engine ran has the
    /// later half under a later number.
    private borrowing func pages(
        _ table: RecordTable, _ manifest: inout Manifest, _ damaged: (StoreDefect) -> Void
    ) throws(StoreError) -> [(owner: UInt32, pages: PageSet)] {
        var owners: [UInt32] = []
        var sets: [PageSetBuilder] = []
        var places: [UInt32: Int] = [:]
        manifest[table] = try TableCheck.read(table, connection) { (row) throws(RowDefect) in
            let owner = try PageChunk.readOwner(from: row)
            let place: Int
            if let known = places[owner] {
                place = known
            } else {
                place = sets.count
                places[owner] = place
                owners.append(owner)
                sets.append(PageSetBuilder())
            }
            try PageChunk.readPages(from: row, into: &sets[place]) { what in
                damaged(StoreDefect(rule: .recordMalformed, table: table.name, key: row.key(), message: what))
            }
        } defect: {
            damaged($0)
        }
        return zip(owners, sets).map { owner, pages in
            let pages = pages.finish { page in
                damaged(
                    StoreDefect(
                        rule: .recordMalformed, table: table.name,
                        key: "\(table.columns[1])=\(owner) first_page=\(page.address.page)",
                        message: "page \(page.address) of level \(page.level) is there twice"))
            }
            return (owner, pages)
        }
    }
}
