import ArgumentParser
import Evidence
import Glibc
import Migrations
import Store

/// `domstore migrate STORE --to OUT`: a copy in the newest format version.
struct MigrateVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate", abstract: "Bring generations to the newest format version, on a copy.",
        discussion: """
            The original is never written, sealed or not: it stays the evidence. It must be without a defect; the copy \
            gets checksums, manifest and root of its own, is read back and checked before it has its name. Its seal \
            differs from the original's, which 'restore --expect-seal' notices; the nonce is the same. Of a directory \
            every generation is taken, and parents are named by their new roots.

            A generation that has the newest version already is left alone, and said to be current. Exit code 2 when \
            one is too new or asks for a feature that this program does not know.
            """)

    @OptionGroup var input: StoreArguments

    @Option(
        help: ArgumentHelp(
            "The file to write, which must not exist; of a directory, a directory, made when it is not there.",
            valueName: "out"), completion: .file(extensions: ["domstore"]))
    var to: String

    @OptionGroup var keys: KeyOptions
    @OptionGroup var output: OutputOptions

    static let columns = ["generation", "state", "from", "to", "old_root", "root", "file"]

    func run() throws {
        let key = try keys.read()
        let pairs = try self.pairs()
        var stream = output.stream(Self.columns)
        var parents: [RootDigest: RootDigest] = [:]
        for (path, out) in pairs {
            let outcome: Migrator.Outcome
            do throws(StoreError) {
                outcome = try Migrator.migrate(path, to: out, parents: parents) { (whole) throws(StoreError) in
                    if let key { try SealCode.write(of: whole, named: out, key: key) }
                }
            } catch {
                try stream.finish()
                if case .alreadyExists(let file) = error {
                    throw Failure(.badInput, "\(file): found a file; expected none, for nothing is replaced")
                }
                throw Failure(error, about: path)
            }
            if let old = outcome.oldSeal, let new = outcome.newSeal { parents[old.root] = new.root }
            if let note = outcome.journal.note { Talk.say("\(path): \(note)") }
            try stream.row([
                Cell(outcome.number), .text(outcome.isCurrent ? "current" : "migrated"), Cell(outcome.from),
                Cell(outcome.to), Cell(outcome.oldSeal?.root.description), Cell(outcome.newSeal?.root.description),
                Cell(outcome.isCurrent ? nil : out),
            ])
        }
        try stream.finish()
    }

    /// What is to be migrated, and where to; ascending.
    private func pairs() throws -> [(path: String, out: String)] {
        let location: StoreLocation
        let numbers: [UInt64]
        do throws(StoreError) {
            location = try StoreLocation(input.store)
            guard location.isDirectory else { return [(location.path, to)] }
            numbers = try location.numbers()
            if numbers.isEmpty { throw .emptyDirectory(path: input.store) }
            if let number = input.generation {
                guard numbers.contains(number) else { throw .noSuchGeneration(path: input.store, number: number) }
                return [(location.path(of: number), to)]
            }
        } catch {
            throw Failure(error, about: input.store)
        }
        let target: StoreLocation
        do throws(StoreError) {
            _ = try StoreLocation.makeDirectory(to)
            target = try StoreLocation(to)
        } catch {
            guard case .io(_, _, let number) = error else { throw Failure(error, about: to) }
            throw Failure(.inputOutput, "\(to): \(systemMessage(number)); expected a directory to write to")
        }
        guard target.isDirectory else {
            throw Failure(.badInput, "\(to): found a file; expected a directory for the generations of \(input.store)")
        }
        return numbers.map { (location.path(of: $0), target.path(of: $0)) }
    }
}
