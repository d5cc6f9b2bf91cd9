import IOMMUModel
import SQLite
import Snapshot

/// Every table's writer over one connection, prepared once, with the manifest of what has been written.
final class RecordWriter {
    private let tables: [TableWriter]
    /// Where chunks are encoded: one row of areas, or one directory.
    private let buffer: UnsafeMutableRawBufferPointer
    /// Engine time of the newest event written, the running transaction included.
    private(set) var newestTime: UInt64 = 0
    private var committedTime: UInt64 = 0

    init(_ connection: borrowing Connection) throws(StoreError) {
        var tables: [TableWriter] = []
        for table in RecordTable.allCases { tables.append(try TableWriter(table, connection)) }
        self.tables = tables
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

    func commit() {
        for table in tables { table.commit() }
        committedTime = newestTime
    }

    func rollBack() {
        for table in tables { table.rollBack() }
        newestTime = committedTime
    }

    /// Goes on where an earlier connection has stopped.
    func resume(from manifest: Manifest, newestTime: UInt64) {
        for table in RecordTable.manifested { self[table].resume(from: manifest[table]) }
        self.newestTime = newestTime
        committedTime = newestTime
    }

    func write<R: StoredRecord>(_ records: [R]) throws(StoreError) { try self[R.table].write(records) }

    func write(events: [Event]) throws(StoreError) {
        try write(events)
        for event in events { newestTime = max(newestTime, event.timeNanoseconds) }
    }

    /// Every record of `snapshot`, parents before children.
    func write(_ snapshot: Snapshot) throws(StoreError) {
        try write(snapshot.units)
        for unit in snapshot.units { try write(unit.registers.map { UnitRegisterRow(unit: unit.id, register: $0) }) }
        try write(snapshot.memoryRanges)
        try write(snapshot.groups)
        try write(snapshot.devices)
        try write(snapshot.reservedRegions)
        try write(snapshot.backings)
        try write(snapshot.sessions)
        try write(snapshot.ioases)
        try write(snapshot.domains)
        try write(snapshot.domainUnits)
        try write(snapshot.hwpts)
        try write(snapshot.attachments)
        try write(snapshot.engineState)
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
