import IOMMUModel
import Snapshot

extension DomainRecord: StoredRecord {
    static var table: RecordTable { .domain }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(id.rawValue)
        try row.text(kind.rawValue)
        try row.text(holder.rawValue)
        try row.integer(parent?.rawValue)
        try row.flag(preserved)
    }

    init(from row: RowReader) throws(RowDefect) {
        let id = DomainID(try row.integer())
        let kind: DomainKind = try row.choice()
        let holder: DomainHolder = try row.choice()
        let parent = try row.optional { () throws(RowDefect) in DomainID(try row.integer()) }
        guard (parent != nil) == (kind == .nested) else {
            throw row.defect(parent.map { "is \($0) of a \(kind.rawValue) domain" } ?? "of a nested domain is missing")
        }
        self.init(id: id, kind: kind, holder: holder, parent: parent, preserved: try row.flag())
    }
}

extension DomainUnitRecord: StoredRecord {
    static var table: RecordTable { .domainUnit }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(domain.rawValue)
        try row.integer(unit.rawValue)
        if let tables {
            try row.text(tables.format.rawValue)
            try row.page(tables.root)
            try row.integer(tables.topLevel)
            try row.integer(tables.addressBits)
            try row.flag(tables.signExtended)
            try row.word(tables.hardwareUpdatedMask)
        } else {
            for _ in 0..<6 { try row.null() }
        }
    }

    init(from row: RowReader) throws(RowDefect) {
        let domain = DomainID(try row.integer())
        let unit = UnitID(try row.integer())
        let format = try row.optional { () throws(RowDefect) -> PageTableFormatKind in try row.choice() }
        let root = try row.optional { () throws(RowDefect) -> PhysicalAddress in try row.page() }
        let topLevel = try row.optional { () throws(RowDefect) -> UInt8 in try row.integer() }
        let addressBits = try row.optional { () throws(RowDefect) in UInt8(try row.integer(0...64)) }
        let signExtended = try row.optional { () throws(RowDefect) in try row.flag() }
        let mask = try row.optional { () throws(RowDefect) in try row.word() }
        let tables: Geometry?
        switch (format, root, topLevel, addressBits, signExtended, mask) {
        case (nil, nil, nil, nil, nil, nil): tables = nil
        case (let format?, let root?, let topLevel?, let addressBits?, let signExtended?, let mask?):
            tables = Geometry(
                format: format, root: root, topLevel: topLevel, addressBits: addressBits, signExtended: signExtended,
                hardwareUpdatedMask: mask)
        default: throw row.defect("geometry is not complete")
        }
        self.init(domain: domain, unit: unit, tables: tables)
    }
}

extension HWPTRecord: StoredRecord {
    static var table: RecordTable { .hwpt }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(id.rawValue)
        try row.integer(ioas.rawValue)
        try row.integer(domain.rawValue)
        try row.word(token)
    }

    init(from row: RowReader) throws(RowDefect) {
        self.init(
            id: HWPTID(try row.integer()), ioas: IOASID(try row.integer()), domain: DomainID(try row.integer()),
            token: try row.optional { () throws(RowDefect) in try row.word() })
    }
}
