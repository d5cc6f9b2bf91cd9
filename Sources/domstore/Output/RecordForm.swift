/// One output form of a listing: takes rows one at a time and writes them as early as it can.
protocol RecordForm {
    /// Takes one row; `cells` are as many as there are columns.
    mutating func row(_ cells: [Cell], to sink: OutputSink) throws(OutputError)
    /// Writes what is still due: a header without rows, the closing bracket.
    mutating func finish(to sink: OutputSink) throws(OutputError)
}

/// A listing on its way out. Make one, give it the rows, ``finish()``.
struct RecordStream {
    private var form: any RecordForm
    private let sink: OutputSink

    init(columns: [String], format: OutputFormat, color: ColorMode, sink: OutputSink) {
        self.sink = sink
        switch format {
        case .table:
            form = TableForm(
                columns: columns, width: Terminal.width(of: sink),
                color: Terminal.usesColor(color, isTerminal: sink.isTerminal))
        case .json: form = JSONForm(columns: columns, lines: false)
        case .jsonl: form = JSONForm(columns: columns, lines: true)
        case .csv: form = CSVForm(columns: columns, escapes: sink.isTerminal)
        }
    }

    /// True when nobody reads any more: a long listing may stop.
    var isClosed: Bool { sink.isClosed }

    mutating func row(_ cells: [Cell]) throws(OutputError) { try form.row(cells, to: sink) }

    mutating func finish() throws(OutputError) {
        try form.finish(to: sink)
        try sink.flush()
    }
}
