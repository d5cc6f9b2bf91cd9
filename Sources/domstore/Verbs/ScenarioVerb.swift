import ArgumentParser
import Scenario

/// `scenario`: check a scenario file, print the schema of such files.
struct ScenarioVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scenario", abstract: "Check scenario files, or print their schema.",
        subcommands: [Check.self, Schema.self])

    /// `scenario check FILE…`.
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read scenario files and say what is wrong with them; nothing is run.")

        @Argument(help: "Scenario files.", completion: .file(extensions: ["json"]))
        var files: [String]

        func run() throws {
            let sink = OutputSink(descriptor: 1)
            var failed = 0
            for file in files {
                do {
                    let scenario = try Failure.mapping {
                        try ScenarioFile.read(try WholeFile.read(file), file: file)
                    }
                    try sink.line(Escaping.escaped("\(file): \(scenario.name), \(scenario.steps.count) steps"))
                } catch let failure as Failure {
                    failed += 1
                    Talk.complain(failure.description)
                    if files.count == 1 { throw Failure(failure.status) }
                }
            }
            try sink.flush()
            if failed > 0 { throw Failure(.badInput) }
        }
    }

    /// `scenario schema`.
    struct Schema: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print the JSON Schema of scenario files.")

        func run() throws {
            let sink = OutputSink(descriptor: 1)
            try sink.write(ScenarioFile.schemaText)
            try sink.flush()
        }
    }
}
