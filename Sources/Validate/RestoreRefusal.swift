import IOMMUModel

/// Why nothing may be restored from a generation.
public struct RestoreRefusal: Error, Sendable, Hashable {
    /// ``RestoreVerdict/coldBoot`` or ``RestoreVerdict/stop``.
    public var verdict: RestoreVerdict
    /// The broken rule behind the verdict.
    public var rule: RuleID
    /// One line.
    public var message: String

    /// All as given; nothing is checked.
    public init(_ verdict: RestoreVerdict, _ rule: RuleID, _ message: String) {
        self.verdict = verdict
        self.rule = rule
        self.message = message
    }

    /// `ENOENT` for a cold boot, `EINVAL` for a stop.
    public var errno: Errno? { verdict.errno }
}

extension RestoreRefusal: CustomStringConvertible {
    /// `VERDICT: MESSAGE (RULE)`.
    public var description: String { "\(verdict.rawValue): \(message) (\(rule.rawValue))" }
}
