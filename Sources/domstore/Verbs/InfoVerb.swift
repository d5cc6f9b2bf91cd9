import ArgumentParser
import Store

/// `domstore info STORE`: one generation in short.
struct InfoVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Show a generation's format, origin, seal, digest, counts and size.",
        discussion: "Nothing is verified beyond what opening a store takes; 'verify-seal' and 'check' do that.")

    @OptionGroup var input: StoreArguments
    @OptionGroup var output: OutputOptions

    func run() throws {
        let reader = try input.open()
        let header = reader.header
        let seal = reader.seal
        var fields: [(String, Cell)] = [
            ("file", .text(header.path)), ("bytes", Cell(header.byteCount)), ("format", Cell(header.formatVersion)),
            ("features", .text(header.features.map(\.name).joined(separator: " "))),
            ("generation", Cell(header.number)), ("state", .text(try state(seal))),
            ("origin", .text(header.origin.rawValue)), ("parent", Cell(header.parent?.number)),
            ("parent_root", Cell(header.parent?.root.description)), ("root", Cell(seal?.root.description)),
            ("nonce", Cell(seal?.nonce?.description)), ("journal", .text(header.journal.rawValue)),
        ]
        do throws(StoreError) {
            fields += try reader.counts().map { ($0.name, Cell($0.count)) }
        } catch {
            throw Failure(error, about: header.path)
        }
        try output.record(fields)
        if header.hasStatistics {
            Talk.say("\(header.path): found a table of statistics (ANALYZE); expected none, it is passed over")
        }
    }

    /// Only the generations after it can say that one is revoked.
    private func state(_ seal: SealRecord?) throws -> String {
        guard seal != nil else { return "open" }
        let location = try StoreLocation(input.store)
        guard location.isDirectory, let number = input.generation else { return "sealed" }
        return try location.generations().first { $0.number == number }?.state.name ?? "sealed"
    }
}
