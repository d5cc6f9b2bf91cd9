import IOMMUModel

/// One thing in a file that is not what it must be.
public struct StoreDefect: Sendable, Hashable, CustomStringConvertible {
    /// The broken rule.
    public var rule: RuleID
    /// The table's SQL name; empty for the file as a whole.
    public var table: String
    /// The key columns as `name=value` pairs; empty for a whole table or file.
    public var key: String
    /// What was found and what was expected.
    public var message: String
    /// Of a row whose values are not those that its checksum was computed of: what else is known of it.
    public private(set) var row: DamagedRow?

    /// A row as it stands in the file.
    public struct DamagedRow: Sendable, Hashable {
        /// Of a chunk: the domain, address space or unit that it says it belongs to; `nil` of other tables.
        public var owner: UInt32?
        /// The stored checksum less the computed one, modulo 2^64.
        var correction: UInt64
    }

    /// All as given; nothing is checked.
    public init(rule: RuleID, table: String, key: String, message: String) {
        self.init(rule: rule, table: table, key: key, message: message, row: nil)
    }

    init(rule: RuleID, table: String, key: String, message: String, row: DamagedRow?) {
        self.rule = rule
        self.table = table
        self.key = key
        self.message = message
        self.row = row
    }

    /// One line: `RULE: TABLE KEY: MESSAGE`.
    public var description: String {
        "\(rule.rawValue): \(table)\(key.isEmpty ? "" : " \(key)"): \(message)"
    }

    var error: StoreError { .recordDamaged(table: table, key: key, what: message, rule: rule) }
}
