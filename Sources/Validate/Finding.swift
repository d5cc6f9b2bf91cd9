import IOMMUModel

/// One broken promise, at one place.
public struct Finding: Sendable, Hashable {
    /// The broken rule.
    public var rule: RuleID
    /// The rule's own, or less where the circumstances weigh less (an imported machine).
    public var severity: Severity
    /// The device concerned; for tables that several devices share the lowest requester id.
    public var device: RequesterID?
    /// `nil`: untagged requests, or no device at all.
    public var pasid: PASID?
    /// Of the 64-bit word at fault, 8-byte aligned.
    public var address: PhysicalAddress?
    /// The first I/O virtual address concerned.
    public var iova: IOVA?
    /// One line, without the parts above.
    public var message: String
    /// The table and key of the store's record at fault, when it is the record that is wrong.
    public var record: RecordKey?

    /// A record of the store: the table or view it is listed in, and its key as `name=value` pairs.
    public struct RecordKey: Sendable, Hashable {
        /// SQL name.
        public var table: String
        /// `name=value` pairs, one space between; empty for a whole table or file.
        public var key: String
        /// Both as given; nothing is checked.
        public init(table: String, key: String) {
            self.table = table
            self.key = key
        }
    }

    /// `severity` defaults to the rule's own.
    public init(
        _ rule: RuleID, severity: Severity? = nil, device: RequesterID? = nil, pasid: PASID? = nil,
        address: PhysicalAddress? = nil, iova: IOVA? = nil, record: RecordKey? = nil, _ message: String
    ) {
        self.rule = rule
        self.severity = severity ?? Rule.of(rule).severity
        self.device = device
        self.pasid = pasid
        self.address = address
        self.iova = iova
        self.record = record
        self.message = message
    }
}

extension Finding: Comparable {
    /// By device (none first), PASID, IOVA, address, rule, then text: a total order, so that listings are
    /// deterministic.
    public static func < (a: Finding, b: Finding) -> Bool {
        if a.device != b.device { return precedes(a.device, b.device) }
        if a.pasid != b.pasid { return PASID?.precedes(a.pasid, b.pasid) }
        if a.iova != b.iova { return precedes(a.iova, b.iova) }
        if a.address != b.address { return precedes(a.address, b.address) }
        if a.rule != b.rule { return a.rule.rawValue < b.rule.rawValue }
        if a.severity != b.severity { return a.severity.rawValue < b.severity.rawValue }
        if a.message != b.message { return a.message < b.message }
        return (a.record?.table ?? "", a.record?.key ?? "") < (b.record?.table ?? "", b.record?.key ?? "")
    }

    private static func precedes<T: Comparable>(_ a: T?, _ b: T?) -> Bool {
        switch (a, b) {
        case (_, nil): false
        case (nil, _): true
        case (let a?, let b?): a < b
        }
    }
}

extension Finding: CustomStringConvertible {
    /// One line: severity, rule, place, message.
    public var description: String {
        var text = "\(severity.rawValue) \(rule.rawValue)"
        if let device { text += " \(device)\(pasid.map { "#\($0)" } ?? "")" }
        if let iova { text += " iova \(iova)" }
        if let address { text += " at \(address)" }
        if let record { text += " \(record.table)[\(record.key)]" }
        return text + ": " + message
    }
}
