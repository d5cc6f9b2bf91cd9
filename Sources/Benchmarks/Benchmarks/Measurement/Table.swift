/// Rows of text under aligned column heads; the first column to the left, the others to the right.
public struct Table {
    /// One text per column.
    public let head: [String]
    /// In the order in which they were appended, each as wide as ``head``.
    public private(set) var rows: [[String]] = []

    /// A table without rows.
    public init(head: [String]) { self.head = head }

    /// As many cells as there are column heads.
    public mutating func append(_ cells: [String]) {
        precondition(cells.count == head.count, "a cell per column")
        rows.append(cells)
    }

    /// One line per row, the head first, columns two spaces apart; no newline at the end.
    public var text: String {
        let all = [head] + rows
        let widths = head.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { cells in
            let line = zip(cells, widths).enumerated().map { column, cell in
                let space = String(repeating: " ", count: cell.1 - cell.0.count)
                return column == 0 ? cell.0 + space : space + cell.0
            }
            return line.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    /// `value` with `digits` digits behind the point.
    public static func number(_ value: Double, digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (value * scale).rounded()
        guard scaled.isFinite, abs(scaled) < 1e15 else { return "\(value)" }
        let whole = Int(scaled)
        let fraction = String(abs(whole) % Int(scale))
        let zeros = String(repeating: "0", count: max(0, digits - fraction.count))
        return "\(whole < 0 ? "-" : "")\(abs(whole) / Int(scale))" + (digits > 0 ? ".\(zeros)\(fraction)" : "")
    }
}
