/// The row of table `seal`.
struct SealRow: StoredRecord {
    static var table: RecordTable { .seal }
    static let hash = "xxh64"

    var seal: SealRecord

    init(_ seal: SealRecord) { self.seal = seal }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(1 as Int64)
        try row.integer(seal.generation)
        if let nonce = seal.nonce { try row.copy(nonce.bytes) } else { try row.null() }
        try row.word(seal.root.rawValue)
        try row.integer(seal.tableCount)
        try row.integer(seal.rowCount)
        try row.integer(seal.timeNanoseconds)
        try row.text(Self.hash)
    }

    init(from row: RowReader) throws(RowDefect) {
        _ = try row.integer(1...1)
        let generation = UInt64(try row.integer(1...Int64.max))
        let nonce = try row.optional { () throws(RowDefect) in HandoverNonce(bytes: try row.blob(16)) }
        let root = RootDigest(try row.word())
        seal = SealRecord(
            generation: generation, nonce: nonce ?? nil, root: root, tableCount: try row.integer(),
            rowCount: try row.integer(), timeNanoseconds: try row.integer())
        let hash = try row.text()
        guard hash == Self.hash else { throw row.defect("is '\(hash.prefix(64))', expected '\(Self.hash)'") }
    }
}

/// One row of table `manifest`.
struct ManifestRow: StoredRecord {
    static var table: RecordTable { .manifest }

    var tableName: String
    var entry: Manifest.Entry

    init(table: RecordTable, entry: Manifest.Entry) {
        tableName = table.name
        self.entry = entry
    }

    func write(to row: TableWriter) throws(StoreError) {
        try row.text(tableName)
        try row.integer(entry.rowCount)
        try row.word(entry.checksumSum)
    }

    init(from row: RowReader) throws(RowDefect) {
        tableName = try row.text()
        entry = Manifest.Entry(rowCount: try row.integer(), checksumSum: try row.word())
    }
}
