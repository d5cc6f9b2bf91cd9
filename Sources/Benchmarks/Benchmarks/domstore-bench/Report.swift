import Foundation
import Measurement

/// All results with what they depend on, as text or as JSON.
struct Report: Encodable {
    let date = HostMachine.date
    let compiler = Self.compiler
    let processor = HostMachine.processor
    /// The machine's load average when the last figure was there.
    let load = HostMachine.loadAverage
    let results: [Result]
    /// What the benchmarks tell beside figures, each after its benchmark's name.
    let facts: [String]

    init(_ results: [Result], facts: [String]) {
        self.results = results
        self.facts = facts
    }

    var isMet: Bool { results.allSatisfy(\.isMet) }

    var text: String {
        var table = Table(head: ["figure", "ours", "reference", "unit", "ratio", "(min", "max)", "goal", "verdict"])
        for result in results {
            let several = result.rounds > 1
            table.append([
                result.name, figure(result.ours), figure(result.reference), result.unit,
                Table.number(result.ratio, digits: 3), several ? Table.number(result.lowestRatio, digits: 3) : "",
                several ? Table.number(result.highestRatio, digits: 3) : "",
                result.goal.map { "<= " + Table.number($0, digits: 2) } ?? "none",
                result.goal == nil ? "-" : result.isMet ? "met" : "NOT MET",
            ])
        }
        let rounds = results.map(\.rounds).max() ?? 0
        var summaries: [String] = []
        for result in results {
            let line = "\(result.name.split(separator: " ")[0]): \(result.summary)"
            if summaries.last != line { summaries.append(line) }
        }
        let goals = results.filter { $0.goal != nil }
        var lines = [
            "\(date), \(compiler), \(processor), load \(load)" + (rounds > 1 ? ", \(rounds) rounds" : ""), "",
            table.text, "",
            "\(goals.count(where: \.isMet)) of \(goals.count) goals met.",
        ]
        if rounds > 1 {
            lines.append("ours, reference: medians of the rounds. ratio: the median of the rounds' ratios.")
        }
        return (lines + [""] + summaries + facts).joined(separator: "\n")
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    private func figure(_ value: Double) -> String {
        Table.number(value, digits: value < 1000 && value != value.rounded() ? 2 : 0)
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
