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

    /// All as given; nothing is checked.
    public init(rule: RuleID, table: String, key: String, message: String) {
        self.rule = rule
        self.table = table
        self.key = key
        self.message = message
    }

    /// One line: `RULE: TABLE KEY: MESSAGE`.
    public var description: String {
        "\(rule.rawValue): \(table)\(key.isEmpty ? "" : " \(key)"): \(message)"
    }

    var error: StoreError { .recordDamaged(table: table, key: key, what: message, rule: rule) }
}
