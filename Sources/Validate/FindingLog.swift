import IOMMUModel

/// Collects findings, sorted and without duplicates, with a bound per rule: damaged input must not fill the memory.
struct FindingLog {
    /// Findings kept per rule; the rest is counted.
    let limitPerRule: Int
    private var kept: [RuleID: Set<Finding>] = [:]
    private var dropped: [RuleID: Int] = [:]

    init(limitPerRule: Int) { self.limitPerRule = max(1, limitPerRule) }

    mutating func add(_ finding: Finding) {
        if kept[finding.rule, default: []].count >= limitPerRule {
            if kept[finding.rule]?.contains(finding) != true { dropped[finding.rule, default: 0] += 1 }
        } else {
            kept[finding.rule, default: []].insert(finding)
        }
    }

    mutating func add(contentsOf findings: some Sequence<Finding>) {
        for finding in findings { add(finding) }
    }

    /// True when a finding of `rule` is kept for which `matches` holds.
    func contains(_ rule: RuleID, where matches: (Finding) -> Bool) -> Bool {
        kept[rule]?.contains(where: matches) ?? false
    }

    /// All that was kept, sorted, and one more finding per rule that overflowed, saying by how many.
    func sorted() -> [Finding] {
        var all = kept.values.flatMap(\.self)
        for (rule, count) in dropped {
            let weight = kept[rule]?.map(\.severity).contains(.error) == true ? Severity.error : Rule.of(rule).severity
            all.append(Finding(rule, severity: weight, "and \(count) more findings of this rule, not listed"))
        }
        return all.sorted()
    }
}
