import ArgumentParser
import SQLite
import Store

/// `domstore sql STORE [QUERY]`: SQL over a generation, page-table runs and mappings as rows.
struct SQLVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql", abstract: "Query a generation with SQL; page-table runs and mappings are rows, too.",
        discussion: """
            Without a query: every table and view with its columns. 'computed' ones are made by this program and are in \
            no file: table_run and table_word (page tables), lookup_run and lookup_word (root, context, PASID and device \
            tables), mapping (what the hardware would translate). Keep them fast by asking for one domain, unit, address \
            or device with '='.

            One statement, which only reads: no other file, no PRAGMA that sets anything, no function with an effect. \
            Schema/COOKBOOK.md has examples. Addresses are text of one length and compare as they are; number('0x…') makes a \
            number of one for arithmetic, address(n) a text again. Blobs are printed as 0x and hex digits; 'lower(hex(x))' gives the digits \
            alone. A query that reaches a limit ends with exit code 2, after the rows it had.

            Exit code 1 when records of the file are damaged, 64 when the query is wrong.
            """)

    @OptionGroup var input: StoreArguments

    @Argument(help: ArgumentHelp("The query, one SELECT.", valueName: "query"))
    var query: String?

    @Option(help: ArgumentHelp("Give up after so many seconds.", valueName: "seconds"))
    var timeout: UInt64 = QueryLimits().seconds

    @Option(help: ArgumentHelp("Give up after so many rows.", valueName: "n"))
    var rows: Int = QueryLimits().rows

    @Option(help: ArgumentHelp("Give up when it takes more memory than so many MiB.", valueName: "mib"))
    var memory: Int64 = QueryLimits().bytes >> 20

    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...86_400).contains(timeout) else { throw ValidationError("--timeout is 1 to 86400 seconds.") }
        guard rows > 0 else { throw ValidationError("--rows is at least 1.") }
        guard (16...1 << 20).contains(memory) else { throw ValidationError("--memory is 16 to 1048576 MiB.") }
    }

    func run() throws {
        let reader = try input.open()
        let path = reader.header.path
        guard let query else { return try list(reader) }
        var stream: RecordStream?
        var problem: OutputError?
        var ended: Failure?
        do throws(StoreError) {
            let limits = QueryLimits(seconds: timeout, bytes: memory << 20, rows: rows)
            try reader.query(query, limits: limits, tables: [MappingRows.table(of: path)]) { columns in
                stream = output.stream(columns)
            } row: { values in
                do throws(OutputError) {
                    try stream?.row(values.map(Cell.init))
                } catch {
                    problem = error
                }
                return problem == nil && stream?.isClosed == false
            }
        } catch {
            switch error {
            case .queryRefused(let what): throw Failure(.usage, "query refused: \(what)")
            case .queryLimit:
                let text = Failure(error, about: path).description
                ended = Failure(.badInput, "\(text); --timeout, --rows and --memory set the limits")
            default: throw Failure(error, about: path)
            }
        }
        if let problem { throw problem }
        try stream?.finish()
        if let ended { throw ended }
        if stream?.isClosed == true { return }
        try Damage(reader.defects(), of: path).report("what is listed of it is as it stands there")
    }

    private func list(_ reader: borrowing GenerationReader) throws {
        let relations: [GenerationReader.Relation]
        do throws(StoreError) {
            relations = try reader.relations(and: [MappingRows.table(of: reader.header.path)])
        } catch {
            throw Failure(error, about: reader.header.path)
        }
        try output.list(
            ["kind", "name", "columns"],
            relations.map { [.text($0.kind.rawValue), .text($0.name), .text($0.columns.joined(separator: ", "))] })
    }
}
