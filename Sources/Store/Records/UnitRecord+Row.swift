import IOMMUModel
import Snapshot

/// A unit without its registers, which are rows of their own.
extension UnitRecord: StoredRecord {
    static var table: RecordTable { .unit }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(id.rawValue)
        try row.text(kind.rawValue)
        try row.integer(segment)
        try row.page(registerBase)
        try row.integer(hostAddressWidth)
        try row.integer(encryptionBit)
        try row.flag(accessedDirty)
    }

    init(from row: RowReader) throws(RowDefect) {
        self.init(
            id: UnitID(try row.integer()), kind: try row.choice(), segment: try row.integer(),
            registerBase: try row.page(), hostAddressWidth: try row.integer(), registers: [],
            encryptionBit: try row.optional { () throws(RowDefect) in UInt8(try row.integer(12...51)) },
            accessedDirty: try row.flag())
    }
}

/// One register of a unit.
struct UnitRegisterRow: StoredRecord {
    static var table: RecordTable { .unitRegister }

    var unit: UnitID
    var register: UnitRecord.Register

    init(unit: UnitID, register: UnitRecord.Register) {
        self.unit = unit
        self.register = register
    }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(unit.rawValue)
        try row.text(register.name)
        try row.word(register.value)
    }

    init(from row: RowReader) throws(RowDefect) {
        unit = UnitID(try row.integer())
        register = UnitRecord.Register(name: try row.text(), value: try row.word())
    }
}

extension MemoryRangeRecord: StoredRecord {
    static var table: RecordTable { .memoryRange }

    func write(to row: TableWriter) throws(StoreError) {
        try row.page(range.first)
        try row.lastPage(range.last)
        try row.text(kind.rawValue)
    }

    init(from row: RowReader) throws(RowDefect) {
        let range: PhysicalRange = try row.pageRange()
        self.init(kind: try row.choice(), range: range)
    }
}

extension EngineStateRecord: StoredRecord {
    static var table: RecordTable { .engineState }

    func write(to row: TableWriter) throws(StoreError) {
        try row.text(name)
        try row.copy(bytes)
    }

    init(from row: RowReader) throws(RowDefect) {
        self.init(name: try row.text(), bytes: [UInt8](try row.blob()))
    }
}
