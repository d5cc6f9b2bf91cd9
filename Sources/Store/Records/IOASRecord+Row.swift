import IOMMUModel
import Snapshot

extension BackingRecord: StoredRecord {
    static var table: RecordTable { .backing }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(id.rawValue)
        try row.text(kind.rawValue)
        try row.page(base)
        try row.integer(byteCount)
        try row.flag(isSealed)
        try row.flag(isAssumed)
    }

    init(from row: RowReader) throws(RowDefect) {
        self.init(
            id: BackingID(try row.integer()), kind: try row.choice(), base: try row.page(),
            byteCount: try row.integer(),
            isSealed: try row.flag(), isAssumed: try row.flag())
    }
}

extension IOASRecord: StoredRecord {
    static var table: RecordTable { .ioas }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(id.rawValue)
        try row.text(areaOrigin.rawValue)
        try row.flag(isImmutable)
    }

    init(from row: RowReader) throws(RowDefect) {
        self.init(id: IOASID(try row.integer()), areaOrigin: try row.choice(), isImmutable: try row.flag())
    }
}
