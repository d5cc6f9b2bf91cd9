import ArgumentParser

/// `--color`, of every verb.
struct ColorOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Colour the output: auto (on a terminal, unless NO_COLOR is set), always, never."))
    var color: ColorMode = .auto
}

/// The form of what a verb prints.
struct OutputOptions: ParsableArguments {
    @Option(help: "The form of the output: table, json, jsonl or csv. Default: table.")
    var format: OutputFormat?

    @Flag(help: "Short for --format json.")
    var json = false

    @Flag(help: "Short for --format jsonl.")
    var jsonl = false

    @OptionGroup var colors: ColorOptions

    func validate() throws {
        guard (format == nil ? 0 : 1) + (json ? 1 : 0) + (jsonl ? 1 : 0) <= 1 else {
            throw ValidationError("--format, --json and --jsonl exclude each other: give one of them.")
        }
    }

    /// The form asked for.
    var form: OutputFormat { json ? .json : jsonl ? .jsonl : format ?? .table }

    /// A listing to standard output.
    func stream(_ columns: [String], sink: OutputSink = OutputSink(descriptor: 1)) -> RecordStream {
        RecordStream(columns: columns, format: form, color: colors.color, sink: sink)
    }

    /// Prints a whole listing.
    func list(_ columns: [String], _ rows: some Sequence<[Cell]>) throws {
        var stream = stream(columns)
        for row in rows where !stream.isClosed { try stream.row(row) }
        try stream.finish()
    }

    /// Prints one record: names beside values as a table, else as a listing of one, except that JSON has no array.
    func record(_ fields: [(String, Cell)]) throws {
        let sink = OutputSink(descriptor: 1)
        switch form {
        case .csv, .jsonl:
            var stream = stream(fields.map(\.0), sink: sink)
            try stream.row(fields.map(\.1))
            try stream.finish()
        case .json:
            let members = fields.map { "  \(JSONText.string($0)): \(JSONText.value($1))" }
            try sink.write("{\n" + members.joined(separator: ",\n") + "\n}\n")
            try sink.flush()
        case .table:
            let isColored = Terminal.usesColor(colors.color, isTerminal: sink.isTerminal)
            let names = fields.map { DisplayWidth.of($0.0) }.max() ?? 0
            let layout = TableLayout(columns: [""], rows: [], width: nil)
            for (name, cell) in fields {
                let label = DisplayWidth.padded(name, to: names, right: false)
                let lines = Wrapping.lines(
                    label + "  " + layout.text(cell, column: 0), width: Terminal.width(of: sink), indent: names + 2)
                let first = lines[0].dropFirst(name.count)
                try sink.line(Style.header.applied(to: name, when: isColored) + first)
                for line in lines.dropFirst() { try sink.line(line) }
            }
            try sink.flush()
        }
    }
}
