/// Aligned columns under a header.
///
/// The widths come from the first ``sampleCount`` rows, which are held back; later rows go straight out, so that a
/// million rows cost no memory. On a terminal the table is made to fit (``TableLayout``); piped, nothing is cut.
struct TableForm: RecordForm {
    static let sampleCount = 10_000

    let columns: [String]
    let width: Int?
    let color: Bool
    private var held: [[Cell]] = []
    private var layout: TableLayout?

    /// `width`: the terminal's columns, `nil` when there is none.
    init(columns: [String], width: Int?, color: Bool) {
        self.columns = columns
        self.width = width
        self.color = color
    }

    mutating func row(_ cells: [Cell], to sink: OutputSink) throws(OutputError) {
        if let layout { return try write(cells, layout, to: sink) }
        held.append(cells)
        if held.count == Self.sampleCount { try release(to: sink) }
    }

    mutating func finish(to sink: OutputSink) throws(OutputError) {
        if layout == nil { try release(to: sink) }
    }

    private mutating func release(to sink: OutputSink) throws(OutputError) {
        let layout = TableLayout(columns: columns, rows: held, width: width)
        self.layout = layout
        let header = layout.line(columns.enumerated().map { layout.fitted($1, column: $0) })
        try sink.line(Style.header.applied(to: header, when: color))
        let below = layout.hung.map { columns[$0] }.joined(separator: ", ")
        if !below.isEmpty { try hang(below, to: sink) }
        for row in held { try write(row, layout, to: sink) }
        held = []
    }

    private func write(_ cells: [Cell], _ layout: TableLayout, to sink: OutputSink) throws(OutputError) {
        var texts = cells.indices.map { layout.fitted(layout.text(cells[$0], column: $0), column: $0) }
        if color {
            for (index, cell) in cells.enumerated() {
                guard case .text(let word) = cell, let style = Style(word: word) else { continue }
                texts[index] = style.applied(to: layout.padded(texts[index], column: index), when: true)
            }
        }
        try sink.line(layout.line(texts))
        for column in layout.hung where cells[column] != .null {
            try hang(layout.text(cells[column], column: column), to: sink)
        }
    }

    /// Prints `text` below a row.
    private func hang(_ text: String, to sink: OutputSink) throws(OutputError) {
        let margin = String(repeating: " ", count: TableLayout.hungIndent)
        for line in Wrapping.lines(margin + text, width: width, indent: TableLayout.hungIndent) { try sink.line(line) }
    }
}
