import Store

extension Finding {
    /// What is wrong with a file, as a finding.
    public init(_ defect: StoreDefect) {
        let record = RecordKey(table: defect.table, key: defect.key)
        self.init(defect.rule, record: defect.table.isEmpty ? nil : record, defect.message)
    }
}
