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
            commandName: "check", abstract: "Read scenario files and say what is wrong with them; nothing is run.")

        @Argument(help: "Scenario files.", completion: .file(extensions: ["json"]))
        var files: [String]

        func run() throws {
            let sink = OutputSink(descriptor: 1)
            var worst: ExitStatus?
            for file in files {
                do {
                    let scenario = try Self.read(file)
                    try sink.line(Escaping.escaped("\(file): \(scenario.name), \(scenario.stepCount) steps"))
                } catch let failure as Failure {
                    worst = [worst ?? failure.status, failure.status].max { $0.rawValue < $1.rawValue }
                    Talk.complain(failure.description)
                }
            }
            try sink.flush()
            if let worst { throw Failure(worst) }
        }

        private static func read(_ file: String) throws(Failure) -> ScenarioFile {
            do throws(ScenarioError) {
                return try ScenarioFile.read(try WholeFile.read(file), file: file)
            } catch {
                throw Failure(error, about: file)
            }
        }
    }

    /// `scenario schema`.
    struct Schema: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "schema", abstract: "Print the JSON Schema of scenario files.")

        func run() throws {
            let sink = OutputSink(descriptor: 1)
            try sink.write(ScenarioFile.schemaText)
            try sink.flush()
        }
    }
}
