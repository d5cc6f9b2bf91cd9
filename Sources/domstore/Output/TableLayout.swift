/// The widths and alignments of a table's columns.
///
/// A table too wide for its terminal gives way in this order: what all cells of a column begin with and nobody needs
/// (zeros of addresses, segment 0 of devices); columns of words, the longest first, which move below their row, whole;
/// headers wider than what stands below them; and at last the longest column of all but that of the devices, which tells
/// the rows apart. What was cut has a `…`.
struct TableLayout {
    /// Two spaces between columns.
    static let gap = 2

    private(set) var widths: [Int]
    private(set) var isNumeric: [Bool]
    /// What is not shown, per column: a beginning that every cell has.
    private(set) var hidden: [TableColumn.Hidden]
    /// Columns whose cells stand below their row.
    private(set) var hung: [Int] = []
    private var isCut = false
    /// Where the text below a row begins.
    static let hungIndent = 4

    /// `width`: the terminal's columns, or `nil` when nothing is to be cut.
    init(columns: [String], rows: [[Cell]], width: Int?) {
        var parts = columns.indices.map { column in
            TableColumn(name: columns[column], cells: rows.lazy.map { $0[column] })
        }
        if let width, Self.total(parts) > width {
            isCut = true
            hung = Self.fit(&parts, into: width)
        }
        widths = parts.map(\.width)
        isNumeric = parts.map(\.isNumeric)
        hidden = parts.map(\.hidden)
    }

    /// The width of a whole line.
    var total: Int {
        let shown = widths.indices.filter { !hung.contains($0) }
        return shown.reduce(0) { $0 + widths[$1] } + Self.gap * max(0, shown.count - 1)
    }

    /// What stands in a cell of `column`, escaped, not yet cut.
    func text(_ cell: Cell, column: Int) -> String { TableColumn.text(cell, hiding: hidden[column]) }

    /// `text` cut to the width of `column` if the table had to be.
    func fitted(_ text: String, column: Int) -> String {
        isCut ? DisplayWidth.shortened(text, to: widths[column]) : text
    }

    /// `text` filled up to the width of `column`; the last column is not, unless it is of numbers.
    func padded(_ text: String, column: Int) -> String {
        let last = widths.indices.last { !hung.contains($0) }
        if column == last, !isNumeric[column] { return text }
        return DisplayWidth.padded(text, to: widths[column], right: isNumeric[column])
    }

    /// One line of the table, without spaces at its end.
    func line(_ texts: [String]) -> String {
        var result = texts.indices.filter { !hung.contains($0) }.map { padded(texts[$0], column: $0) }
            .joined(separator: String(repeating: " ", count: Self.gap))
        while result.utf8.last == UInt8(ascii: " ") { result.removeLast() }
        return result
    }

    private static func total(_ columns: [TableColumn]) -> Int {
        let shown = columns.filter { !$0.isHung }
        return shown.reduce(0) { $0 + $1.width } + gap * max(0, shown.count - 1)
    }

    /// - Returns: the columns that move below their rows.
    private static func fit(_ columns: inout [TableColumn], into width: Int) -> [Int] {
        for index in columns.indices { columns[index].hideZeros() }
        if total(columns) > width {
            for index in columns.indices { columns[index].hideSegment() }
        }
        while total(columns) > width {
            let words = columns.indices.filter { columns[$0].isProse && !columns[$0].isHung }
            guard let longest = words.max(by: { columns[$0].width < columns[$1].width }) else { break }
            columns[longest].isHung = true
        }
        for index in columns.indices.reversed() where !columns[index].isHung {
            columns[index].narrow(by: total(columns) - width, floor: max(3, columns[index].contentWidth))
        }
        while total(columns) > width {
            let candidates = columns.indices.filter { columns[$0].canBeCut && columns[$0].width > floor }
            guard let longest = candidates.max(by: { (columns[$0].width, $0) < (columns[$1].width, $1) }) else { break }
            columns[longest].narrow(by: 1, floor: floor)
        }
        return columns.indices.filter { columns[$0].isHung }
    }

    /// No column is cut below so many cells.
    private static let floor = 6
}
