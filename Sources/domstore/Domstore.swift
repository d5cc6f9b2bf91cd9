import ArgumentParser
import Glibc
import Migrations

/// The root of the command line.
struct Domstore: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "domstore",
        abstract: "Keep, check and restore the IOMMU state that one kernel hands over to the next.",
        version: "domstore 0.1.0 (store schema version \(Migrations.current))",
        subcommands: [
            HandoverVerb.self, RestoreVerb.self, ScenarioVerb.self, ImportVerb.self, InfoVerb.self, UnitsVerb.self,
            DevicesVerb.self, GroupsVerb.self,
            DomainsVerb.self, AttachmentsVerb.self, IOASVerb.self, AreasVerb.self, TablesVerb.self,
            GenerationsVerb.self,
            EventsVerb.self, MappingsVerb.self, TranslateVerb.self, DiffVerb.self, CheckVerb.self, RulesVerb.self,
            ConformanceVerb.self, SchemaVerb.self, VerifySealVerb.self, SQLVerb.self, MigrateVerb.self,
        ])
}

/// Runs the command line: data on standard output, talk on standard error, one exit code.
@main
enum Main {
    static func main() {
        // A reader that goes away is told by EPIPE, never by a signal in the middle of writing a store.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try Domstore.parseAsRoot()
            try command.run()
        } catch {
            exit(Report.of(error))
        }
    }
}
