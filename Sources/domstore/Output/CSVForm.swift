/// Comma-separated values (RFC 4180, lines end in a line feed), with a header line.
///
/// Text goes out as it is, quoted where the form demands it; on a terminal it is escaped first.
struct CSVForm: RecordForm {
    let columns: [String]
    let escapes: Bool
    private var wroteHeader = false

    init(columns: [String], escapes: Bool) {
        self.columns = columns
        self.escapes = escapes
    }

    mutating func row(_ cells: [Cell], to sink: OutputSink) throws(OutputError) {
        try header(to: sink)
        try sink.line(cells.map(field).joined(separator: ","))
    }

    mutating func finish(to sink: OutputSink) throws(OutputError) { try header(to: sink) }

    private mutating func header(to sink: OutputSink) throws(OutputError) {
        if wroteHeader { return }
        wroteHeader = true
        try sink.line(columns.map(quoted).joined(separator: ","))
    }

    private func field(_ cell: Cell) -> String {
        switch cell {
        case .null: ""
        case .integer(let number): String(number)
        case .real(let number): String(number)
        case .flag(let flag): flag ? "yes" : "no"
        // An empty text is told from null by its quotes.
        case .text(let text): text.isEmpty ? "\"\"" : quoted(escapes ? Escaping.escaped(text) : text)
        }
    }

    private func quoted(_ text: String) -> String {
        let special: Set<UInt8> = [UInt8(ascii: ","), UInt8(ascii: "\""), UInt8(ascii: "\n"), UInt8(ascii: "\r")]
        guard text.utf8.contains(where: special.contains) else { return text }
        var result = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" { result += "\"" }
            result.unicodeScalars.append(scalar)
        }
        return result + "\""
    }
}
