import IOMMUModel
import Snapshot

extension RequesterID: StoredKey {
    static var table: RecordTable { .device }

    func writeKey(to row: TableWriter) throws(StoreError) {
        try row.integer(segment)
        try row.integer(rid)
    }
}

extension DomainUnitKey: StoredKey {
    static var table: RecordTable { .domainUnit }

    func writeKey(to row: TableWriter) throws(StoreError) {
        try row.integer(domain.rawValue)
        try row.integer(unit.rawValue)
    }
}

extension AttachmentKey: StoredKey {
    static var table: RecordTable { .attachment }

    func writeKey(to row: TableWriter) throws(StoreError) {
        try row.integer(requester.segment)
        try row.integer(requester.rid)
        try row.flag(pasid != nil)
        try row.integer(pasid?.rawValue ?? 0)
    }
}
