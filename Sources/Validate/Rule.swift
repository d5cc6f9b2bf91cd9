import IOMMUModel

/// What one rule promises, as `domstore rules` prints it.
public struct Rule: Sendable, Hashable, Identifiable {
    /// What findings name.
    public var id: RuleID
    /// The severity of its findings; ``Finding/severity`` says where one weighs less (an imported machine, for
    /// example).
    public var severity: Severity
    /// One sentence: what holds when there is no finding.
    public var promise: String
    /// Where the promise comes from: a section of the vendor's manual or of this project's rules.
    public var source: String
    /// Rules whose findings follow by themselves once this one is broken: read this one's findings first.
    public var implied: [RuleID]

    init(_ id: RuleID, _ severity: Severity, _ promise: String, source: String, implied: [RuleID] = []) {
        self.id = id
        self.severity = severity
        self.promise = promise
        self.source = source
        self.implied = implied
    }

    /// Every rule, in the order of `RuleID.allCases`.
    public static var all: [Rule] { RuleID.allCases.map(Rule.of) }

    /// The rule behind an id.
    public static func of(_ id: RuleID) -> Rule { id.catalogueEntry }
}

extension Rule: CustomStringConvertible {
    /// Several lines: id and severity, the promise, what to do, the source, and what follows from a violation.
    public var description: String {
        var text = "\(id.rawValue) (\(severity.rawValue))\n  \(promise)\n  \(advice)\n  source: \(source)"
        if !implied.isEmpty { text += "\n  implies: \(implied.map(\.rawValue).joined(separator: ", "))" }
        return text
    }
}
