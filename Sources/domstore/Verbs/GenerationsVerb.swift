import ArgumentParser
import Store

/// `domstore generations STORE`: the files of a directory, each with its state.
struct GenerationsVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generations", abstract: "List the generations of a directory.",
        discussion: """
            States: sealed, revoked (by a later generation), open (of a running or a dead engine), empty, held (by a \
            running engine), unreadable. 'journal' is what stands beside the file: none, spent, rolled-back (in a copy), \
            stray (not its own). 'verdict' is what the restore that began the generation came to.
            """)

    @Argument(
        help: ArgumentHelp("A directory of generation files, or one of them.", valueName: "store"),
        completion: .file(extensions: ["domstore"]))
    var store: String

    @OptionGroup var output: OutputOptions

    static let columns = ["generation", "state", "origin", "parent", "root", "bytes", "verdict", "journal"]

    func run() throws {
        let generations: [StoreLocation.Generation]
        do throws(StoreError) {
            generations = try StoreLocation(store).generations()
        } catch {
            throw Failure(error, about: store)
        }
        try output.list(Self.columns, generations.map(Self.row))
        for generation in generations {
            if case .unreadable(let error) = generation.state, let why = Failure(error, about: generation.path).message
            {
                Talk.say(why)
            }
        }
    }

    static func row(_ generation: StoreLocation.Generation) -> [Cell] {
        let header = generation.header
        return [
            Cell(generation.number), .text(generation.state.name), Cell(header?.origin.rawValue),
            Cell(header?.parent?.number), Cell(generation.state.seal?.root.description), Cell(header?.byteCount),
            Cell(verdict(of: generation)), Cell(header?.journal.rawValue),
        ]
    }

    /// The last verdict among the generation's events.
    private static func verdict(of generation: StoreLocation.Generation) -> String? {
        guard generation.header != nil, let reader = try? GenerationReader(path: generation.path),
            let events = try? reader.events()
        else { return nil }
        return events.last { $0.kind == .verdict }?.name
    }
}

extension StoreLocation.State {
    /// One word.
    var name: String {
        switch self {
        case .sealed: "sealed"
        case .revoked: "revoked"
        case .open: "open"
        case .empty: "empty"
        case .held: "held"
        case .unreadable: "unreadable"
        }
    }

    /// The seal, if there is one.
    var seal: SealRecord? {
        switch self {
        case .sealed(let seal), .revoked(let seal): seal
        case .open, .empty, .held, .unreadable: nil
        }
    }
}
