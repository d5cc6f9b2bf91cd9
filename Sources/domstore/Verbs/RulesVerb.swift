import ArgumentParser
import IOMMUModel
import Validate

/// `domstore rules [ID]`: what is checked, and why.
struct RulesVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rules", abstract: "List the rules that a store is checked against, or explain one.",
        discussion: """
            'rules ID' tells all of one rule: what holds when there is no finding (promise), what to do about one \
            (advice), where the promise comes from (source: a section of the vendor's manual, or of the design notes \
            that the project was built from), and which rules' findings follow from it by themselves (implies). The \
            table of all rules has the promises only; the other forms have everything.
            """)

    @Argument(
        help: ArgumentHelp("Explain this rule only.", valueName: "id"),
        completion: .list(RuleID.allCases.map(\.rawValue)))
    var rule: String?

    @OptionGroup var output: OutputOptions

    static let columns = ["rule", "severity", "promise", "advice", "source", "implies"]

    func validate() throws {
        if let rule, RuleID(rawValue: rule) == nil {
            throw ValidationError("'\(rule)' is no rule; 'domstore rules' lists them all.")
        }
    }

    func run() throws {
        if let id = rule.flatMap(RuleID.init(rawValue:)) {
            return try output.record(Array(zip(Self.columns, Self.row(Rule.of(id)))))
        }
        let count = output.form == .table ? 3 : Self.columns.count
        try output.list(Array(Self.columns.prefix(count)), Rule.all.map { Array(Self.row($0).prefix(count)) })
    }

    static func row(_ rule: Rule) -> [Cell] {
        [
            .text(rule.id.rawValue), .text(rule.severity.rawValue), .text(rule.promise), .text(rule.advice),
            .text(rule.source),
            Cell(rule.implied.isEmpty ? nil : rule.implied.map(\.rawValue).joined(separator: " ")),
        ]
    }
}
