import ArgumentParser
import Schema

/// `domstore schema`: the format of a generation as SQL.
struct SchemaVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the schema of a generation file: commented SQL.")

    func run() throws {
        let sink = OutputSink(descriptor: 1)
        try sink.write(CanonicalSchema.sql)
        try sink.flush()
    }
}
