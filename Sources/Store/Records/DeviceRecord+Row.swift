import IOMMUModel
import Snapshot

extension GroupRecord: StoredRecord {
    static var table: RecordTable { .group }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(id.rawValue)
        try row.text(owner.rawValue)
        try row.word(ownerToken)
        try row.flag(ownerAssumed)
    }

    init(from row: RowReader) throws(RowDefect) {
        self.init(
            id: GroupID(try row.integer()), owner: try row.choice(), ownerToken: try row.word(),
            ownerAssumed: try row.flag())
    }
}

extension DeviceRecord: StoredRecord {
    static var table: RecordTable { .device }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(requester.segment)
        try row.integer(requester.rid)
        try row.integer(unit.rawValue)
        try row.integer(group.rawValue)
        try row.flag(hasFunction)
        try row.integer(vendorID)
        try row.integer(deviceID)
        try row.integer(classCode)
        try row.text(driver)
        try row.flag(atsEnabled)
        try row.flag(priEnabled)
        try row.flag(preserved)
    }

    init(from row: RowReader) throws(RowDefect) {
        self.init(
            requester: RequesterID(segment: try row.integer(), rid: try row.integer()), unit: UnitID(try row.integer()),
            group: GroupID(try row.integer()), hasFunction: try row.flag(), vendorID: try row.integer(),
            deviceID: try row.integer(), classCode: try row.integer(), driver: try row.text(),
            atsEnabled: try row.flag(), priEnabled: try row.flag(), preserved: try row.flag())
    }
}

extension ReservedRegionRecord: StoredRecord {
    static var table: RecordTable { .reservedRegion }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(group.rawValue)
        try row.word(range.first.rawValue)
        try row.word(range.last.rawValue)
        try row.text(kind.rawValue)
    }

    init(from row: RowReader) throws(RowDefect) {
        let group = GroupID(try row.integer())
        let first = IOVA(try row.word())
        guard let range = IOVARange(first: first, last: IOVA(try row.word())) else {
            throw row.defect("is below the first address")
        }
        self.init(group: group, kind: try row.choice(), range: range)
    }
}

extension SessionRecord: StoredRecord {
    static var table: RecordTable { .session }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(id.rawValue)
        try row.text(name)
    }

    init(from row: RowReader) throws(RowDefect) {
        self.init(id: SessionID(try row.integer()), name: try row.text())
    }
}
