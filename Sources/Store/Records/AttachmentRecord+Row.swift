import IOMMUModel
import Snapshot

extension AttachmentRecord: StoredRecord {
    static var table: RecordTable { .attachment }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(requester.segment)
        try row.integer(requester.rid)
        try row.flag(pasid != nil)
        try row.integer(pasid?.rawValue ?? 0)
        try row.integer(domain.rawValue)
        try row.integer(cacheTag)
        try row.integer(cachePASID?.rawValue)
        try row.word(entryAddress?.rawValue)
    }

    init(from row: RowReader) throws(RowDefect) {
        let requester = RequesterID(segment: try row.integer(), rid: try row.integer())
        let tagged = try row.flag()
        let number = UInt32(try row.integer(0...Int64(PASID.maximum)))
        guard tagged || number == 0 else { throw row.defect("is \(number) for untagged requests, expected 0") }
        let domain = DomainID(try row.integer())
        let tag = try row.optional { () throws(RowDefect) -> UInt32 in try row.integer() }
        let cachePASID = try row.optional { () throws(RowDefect) in
            UInt32(try row.integer(0...Int64(PASID.maximum)))
        }
        if let cachePASID, tag == nil { throw row.defect("is \(cachePASID) without a cache tag") }
        self.init(
            requester: requester, pasid: tagged ? PASID(number) : nil, domain: domain, cacheTag: tag,
            cachePASID: cachePASID.flatMap { PASID($0) },
            entryAddress: try row.optional { () throws(RowDefect) in PhysicalAddress(try row.word()) })
    }
}
