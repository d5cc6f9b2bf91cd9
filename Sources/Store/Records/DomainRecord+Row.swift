import IOMMUModel
import Snapshot

extension DomainRecord: StoredRecord {
    static var table: RecordTable { .domain }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(id.rawValue)
        try row.text(kind.rawValue)
        try row.text(holder.rawValue)
        try row.flag(preserved)
    }

    init(from row: RowReader) throws(RowDefect) {
        self.init(
            id: DomainID(try row.integer()), kind: try row.choice(), holder: try row.choice(), preserved: try row.flag()
        )
    }
}

extension DomainUnitRecord: StoredRecord {
    static var table: RecordTable { .domainUnit }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(domain.rawValue)
        try row.integer(unit.rawValue)
        try row.integer(cacheTag)
        if let tables {
            try row.text(tables.format.rawValue)
            try row.page(tables.root)
            try row.integer(tables.topLevel)
            try row.integer(tables.addressBits)
        } else {
            for _ in 0..<4 { try row.null() }
        }
    }

    init(from row: RowReader) throws(RowDefect) {
        let domain = DomainID(try row.integer())
        let unit = UnitID(try row.integer())
        let cacheTag: UInt32 = try row.integer()
        let format = try row.optional { () throws(RowDefect) -> PageTableFormatKind in try row.choice() }
        let root = try row.optional { () throws(RowDefect) -> PhysicalAddress in try row.page() }
        let topLevel = try row.optional { () throws(RowDefect) -> UInt8 in try row.integer() }
        let addressBits = try row.optional { () throws(RowDefect) -> UInt8 in try row.integer() }
        let tables: Geometry?
        switch (format, root, topLevel, addressBits) {
        case (nil, nil, nil, nil): tables = nil
        case (let format?, let root?, let topLevel?, let addressBits?):
            tables = Geometry(format: format, root: root, topLevel: topLevel, addressBits: addressBits)
        default: throw row.defect("geometry is not complete")
        }
        self.init(domain: domain, unit: unit, cacheTag: cacheTag, tables: tables)
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

extension AttachmentRecord: StoredRecord {
    static var table: RecordTable { .attachment }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(requester.segment)
        try row.integer(requester.rid)
        try row.flag(pasid != nil)
        try row.integer(pasid?.rawValue ?? 0)
        try row.integer(domain.rawValue)
        try row.word(entryAddress?.rawValue)
    }

    init(from row: RowReader) throws(RowDefect) {
        let requester = RequesterID(segment: try row.integer(), rid: try row.integer())
        let tagged = try row.flag()
        let number = UInt32(try row.integer(0...Int64(PASID.maximum)))
        guard tagged || number == 0 else { throw row.defect("is \(number) for untagged requests, expected 0") }
        self.init(
            requester: requester, pasid: tagged ? PASID(number) : nil, domain: DomainID(try row.integer()),
            entryAddress: try row.optional { () throws(RowDefect) in PhysicalAddress(try row.word()) })
    }
}
