import IOMMUModel
import SQLite
import Snapshot

/// Every table's writer over one connection, prepared once, with the manifest of what has been written.
final class RecordWriter {
    private let tables: [TableWriter]
    /// Of every transaction: prepared too, for parsing them is a good part of a small one.
    private let beginning: Statement
    private let commitment: Statement
    /// Where chunks are encoded: one row of areas, or one directory.
    private let buffer: UnsafeMutableRawBufferPointer
    /// Engine time of the newest event written, the running transaction included.
    private(set) var newestTime: UInt64 = 0
    private var committedTime: UInt64 = 0
    private var areaRows = ChunkRows()
    private var lookupRows = ChunkRows()
    private var tableRows = ChunkRows()
    /// Rows that the last transaction wrote or removed, manifest and seal not counted.
    private(set) var changedRows = 0

    /// `isLive`: rows can be replaced and removed, too.
    init(_ connection: borrowing Connection, isLive: Bool = false) throws(StoreError) {
        var tables: [TableWriter] = []
        for table in RecordTable.allCases { tables.append(try TableWriter(table, connection, isLive: isLive)) }
        self.tables = tables
        do {
            beginning = try connection.prepare("BEGIN IMMEDIATE", persistent: true)
            commitment = try connection.prepare("COMMIT", persistent: true)
        } catch { throw StoreError(error) }
        buffer = .allocate(
            byteCount: max(
                AreaChunk.areasPerRow * AreaChunk.recordBytes, PageChunk.pagesPerRow * PageChunk.directoryBytes),
            alignment: 64)
    }

    deinit { buffer.deallocate() }

    subscript(_ table: RecordTable) -> TableWriter { tables[Int(table.rawValue) - 1] }

    /// What has been written, the running transaction included.
    var manifest: Manifest {
        var manifest = Manifest()
        for table in RecordTable.manifested { manifest[table] = self[table].entry }
        return manifest
    }

    /// Begins a transaction, which ends with ``commit()`` or, when anything fails, with a ROLLBACK and ``rollBack()``.
    func begin() throws(StoreError) {
        do { try beginning.run() } catch { throw StoreError(error) }
    }

    /// Commits: what was written counts from now on.
    func commit() throws(StoreError) {
        do { try commitment.run() } catch { throw StoreError(error) }
        changedRows = RecordTable.manifested.reduce(0) { $0 + self[$1].changedRows }
        for table in tables { table.commit() }
        areaRows.commit()
        lookupRows.commit()
        tableRows.commit()
        committedTime = newestTime
    }

    /// What was written since the last commit does not count.
    func rollBack() {
        for table in tables { table.rollBack() }
        areaRows.rollBack()
        lookupRows.rollBack()
        tableRows.rollBack()
        newestTime = committedTime
    }

    func write<R: StoredRecord>(_ records: [R], _ mode: TableWriter.Mode = .insert) throws(StoreError) {
        try self[R.table].write(records, mode)
    }

    private func remove<K: StoredKey>(_ keys: [K]) throws(StoreError) { try self[K.table].remove(keys) }

    func write(events: [Event]) throws(StoreError) {
        try write(events)
        for event in events { newestTime = max(newestTime, event.timeNanoseconds) }
    }

    /// Every record of `snapshot`, which is normalised, into tables that hold none of them.
    ///
    /// What they refer to is asked here, in a fraction of SQLite's time: `foreign_keys` may be off.
    func write(_ snapshot: Snapshot) throws(StoreError) {
        try requireReferences(of: snapshot)
        try writeRows(snapshot, .insert)
        let areas = self[.areaChunk]
        try snapshot.areas.withUnsafeBufferPointer { (records) throws(StoreError) in
            try AreaChunk.write(records, to: areas, buffer: buffer)
        }
        for unit in snapshot.lookupPages {
            try PageChunk.write(unit.pages, owner: unit.unit.rawValue, to: self[.lookupChunk], buffer: buffer)
        }
        for domain in snapshot.tablePages {
            try PageChunk.write(domain.pages, owner: domain.domain.rawValue, to: self[.tableChunk], buffer: buffer)
        }
    }

    private func requireReferences(of snapshot: Snapshot) throws(StoreError) {
        var owners: [IOASID] = []
        for area in snapshot.areas where area.ioas != owners.last { owners.append(area.ioas) }
        guard let found = snapshot.unresolvedReference(areaOwners: owners) else { return }
        throw .unrepresentable(
            table: found.table.name, key: found.key, what: "it refers to \(found.missing), which is not there")
    }

    /// Records that are a row each, parents before children.
    private func writeRows(_ snapshot: Snapshot, _ mode: TableWriter.Mode) throws(StoreError) {
        try write(snapshot.units, mode)
        for unit in snapshot.units {
            try write(unit.registers.map { UnitRegisterRow(unit: unit.id, register: $0) }, mode)
        }
        try write(snapshot.memoryRanges, mode)
        try write(snapshot.groups, mode)
        try write(snapshot.devices, mode)
        try write(snapshot.reservedRegions, mode)
        try write(snapshot.backings, mode)
        try write(snapshot.sessions, mode)
        try write(snapshot.ioases, mode)
        try write(snapshot.domains, mode)
        try write(snapshot.domainUnits, mode)
        try write(snapshot.hwpts, mode)
        try write(snapshot.attachments, mode)
        try write(snapshot.engineState, mode)
    }

    /// What is different, and what is gone. Rows that are the same as before are not written.
    func write(_ changes: SnapshotChanges) throws(StoreError) {
        try writeRows(changes.records, .replace)
        try replaceAreas(changes)
        for unit in changes.records.lookupPages {
            try PageChunk.replace(
                unit.pages, owner: unit.unit.rawValue, rows: &lookupRows, to: self[.lookupChunk], buffer: buffer)
        }
        for domain in changes.records.tablePages {
            try PageChunk.replace(
                domain.pages, owner: domain.domain.rawValue, rows: &tableRows, to: self[.tableChunk], buffer: buffer)
        }
        try remove(changes.gone)
    }

    private func replaceAreas(_ changes: SnapshotChanges) throws(StoreError) {
        let areas = self[.areaChunk]
        try changes.records.areas.withUnsafeBufferPointer { (records) throws(StoreError) in
            var start = 0
            for ioas in changes.areaOwners {
                var end = start
                while end < records.count, records[end].ioas == ioas { end += 1 }
                try AreaChunk.replace(
                    UnsafeBufferPointer(rebasing: records[start..<end]), of: ioas, rows: &areaRows, to: areas,
                    buffer: buffer)
                start = end
            }
            precondition(start == records.count, "every area has its address space among the owners")
        }
    }

    /// Children before parents.
    private func remove(_ gone: SnapshotChanges.Gone) throws(StoreError) {
        for domain in gone.tablePages {
            try self[.tableChunk].remove(tableRows.rows(of: domain.rawValue).map(\.id))
            tableRows.set([], of: domain.rawValue)
        }
        for ioas in gone.ioases {
            try self[.areaChunk].remove(areaRows.rows(of: ioas.rawValue).map(\.id))
            areaRows.set([], of: ioas.rawValue)
        }
        try remove(gone.attachments)
        try self[.hwpt].remove(gone.hwpts.map(\.rawValue))
        try remove(gone.domainUnits)
        // A nested domain's reference to its parent is looked at when the transaction ends.
        try self[.domain].remove(gone.domains.map(\.rawValue))
        try self[.ioas].remove(gone.ioases.map(\.rawValue))
        try self[.backing].remove(gone.backings.map(\.rawValue))
        try self[.session].remove(gone.sessions.map(\.rawValue))
        try remove(gone.devices)
        try self[.group].remove(gone.groups.map(\.rawValue))
    }

    /// The manifest and, last, the seal row. Nothing of it is proportional to the number of records.
    func writeSeal(
        version: UInt32, generation: UInt64, nonce: HandoverNonce?
    ) throws(StoreError) -> SealReceipt {
        let manifest = manifest
        let root = manifest.root(
            version: version, generation: generation, timeNanoseconds: newestTime, nonce: nonce)
        try write(RecordTable.manifested.map { ManifestRow(table: $0, entry: manifest[$0]) })
        let seal = SealRecord(
            generation: generation, nonce: nonce, root: root, tableCount: UInt32(RecordTable.manifested.count),
            rowCount: manifest.rowCount, timeNanoseconds: newestTime)
        try write([SealRow(seal)])
        return seal.receipt
    }
}
