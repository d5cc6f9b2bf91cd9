import IOMMUModel
import SQLite
import Snapshot

extension GenerationReader {
    /// Reads every record, and goes on past each that is damaged.
    ///
    /// Of a large file the areas are read by a thread of their own meanwhile, through a connection of its own to the same
    /// bytes. What comes out is the same.
    borrowing func readState() -> StateReading {
        readState(isConcurrent: Meanwhile<AreaReading>.isWorthIt(bytes: Int(clamping: header.byteCount)))
    }

    /// As ``readState()``, by one thread or two.
    borrowing func readState(isConcurrent: Bool) -> StateReading {
        let meanwhile = isConcurrent ? areasMeanwhile() : nil
        var snapshot = Snapshot(origin: header.origin)
        var manifest = Manifest()
        var failure: StoreError?
        var (rowDefects, pageDefects): ([StoreDefect], [StoreDefect]) = ([], [])
        do throws(StoreError) {
            try readRows(into: &snapshot, &manifest) { rowDefects.append($0) }
            try readPages(into: &snapshot, &manifest) { pageDefects.append($0) }
        } catch { failure = error }
        var areas = meanwhile?.wait() ?? AreaReading(connection, fileBytes: header.byteCount)
        manifest[.areaChunk] = areas.entry
        swap(&snapshot.areas, &areas.areas)
        if areas.isInOrder { snapshot.normalizeAllButAreas() } else { snapshot.normalize() }
        return StateReading(
            snapshot: snapshot, manifest: manifest, defects: rowDefects + areas.defects + pageDefects,
            areaOwners: areas.owners, failure: failure ?? areas.failure)
    }

    private borrowing func areasMeanwhile() -> Meanwhile<AreaReading> {
        // The bytes stay where they are as long as this reader, which waits for the thread.
        let (address, size) = withFileBytes { (UInt(bitPattern: $0.baseAddress), $0.count) }
        let fileBytes = header.byteCount
        return Meanwhile {
            do throws(StoreError) {
                let bytes = UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: size)
                return AreaReading(try Self.hostile(sharing: bytes), fileBytes: fileBytes)
            } catch { return AreaReading(failure: error) }
        }
    }

    private borrowing func readRows(
        into snapshot: inout Snapshot, _ manifest: inout Manifest, _ damaged: (StoreDefect) -> Void
    ) throws(StoreError) {
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
    }

    private borrowing func readPages(
        into snapshot: inout Snapshot, _ manifest: inout Manifest, _ damaged: (StoreDefect) -> Void
    ) throws(StoreError) {
        snapshot.lookupPages = try pages(.lookupChunk, &manifest, damaged).map {
            UnitPages(unit: UnitID($0.owner), pages: $0.pages)
        }
        snapshot.tablePages = try pages(.tableChunk, &manifest, damaged).map {
            DomainPages(domain: DomainID($0.owner), pages: $0.pages)
        }
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
