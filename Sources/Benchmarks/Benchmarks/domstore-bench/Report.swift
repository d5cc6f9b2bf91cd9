import Foundation
import Measurement

/// All results with what they depend on, as text or as JSON.
enum Report {
    static func text(_ results: [Result]) -> String {
        var table = Table(head: ["benchmark", "goal", "ratio", "min", "max", "met", "subject", "reference", "unit/op"])
        for result in results {
            table.append([
                result.name, result.goal.map { "<= " + Table.number($0, digits: 2) } ?? "-",
                Table.number(result.ratio, digits: 3), Table.number(result.lowestRatio, digits: 3),
                Table.number(result.highestRatio, digits: 3), result.goal == nil ? "-" : result.isMet ? "yes" : "NO",
                figure(result.subject), figure(result.reference), result.unit,
            ])
        }
        let facts = results.flatMap { result in result.facts.map { "\(result.name): \($0)" } }
        let rounds = results.map(\.rounds).max() ?? 0
        return
            ([
                "\(Machine.date), \(compiler), \(Machine.processor), load \(Machine.loadAverage)"
                    + (rounds > 1 ? ", \(rounds) rounds" : ""), "",
                table.text,
            ] + (facts.isEmpty ? [] : [""] + facts)).joined(separator: "\n")
    }

    static func json(_ results: [Result]) throws -> String {
        struct Document: Encodable {
            let date: String
            let compiler: String
            let processor: String
            let load: String
            let results: [Result]
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let document = Document(
            date: Machine.date, compiler: compiler, processor: Machine.processor, load: Machine.loadAverage,
            results: results)
        return String(decoding: try encoder.encode(document), as: UTF8.self)
    }

    private static func figure(_ figure: Result.Figure) -> String {
        let digits = figure.perOperation < 1000 ? 2 : 0
        return "\(figure.side) \(Table.number(figure.perOperation, digits: digits))"
    }

    /// The compiler that built this program, as far as it tells its program.
    private static var compiler: String {
        #if compiler(>=6.4)
            "Swift 6.4 or later"
        #elseif compiler(>=6.3)
            "Swift 6.3"
        #else
            "Swift 6.2"
        #endif
    }
}
