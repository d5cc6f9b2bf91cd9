/// `Schema/FORMAT.md`, taken apart: its examples and its tables.
struct FormatDocument: Sendable {
    static let shared = FormatDocument(Checkout.text(of: "Schema/FORMAT.md"))

    let lines: [String]
    private(set) var examples: [Example] = []
    /// Blocks that cannot be read, with their line.
    private(set) var problems: [String] = []

    init(_ text: String) {
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var index = 0
        while index < lines.count {
            defer { index += 1 }
            guard lines[index].hasPrefix("```") else { continue }
            let start = index
            let info = lines[index].dropFirst(3).split(separator: " ").map(String.init)
            index += 1
            while index < lines.count, lines[index] != "```" { index += 1 }
            do {
                examples.append(try Self.example(info, lines[start + 1..<min(index, lines.count)], line: start + 1))
            } catch {
                problems.append("line \(start + 1): \(error)")
            }
        }
    }

    private static func example(_ info: [String], _ body: ArraySlice<String>, line: Int) throws(Mismatch) -> Example {
        guard info.first == "example", (2...3).contains(info.count), let kind = ExampleKind(rawValue: info[1]),
            (kind == .row) == (info.count == 3)
        else { throw Mismatch("the info string is none of an example: \(info.joined(separator: " "))") }
        let dump = body.prefix { HexDump.isLine($0) }
        guard let bytes = HexDump.parse(Array(dump)) else { throw Mismatch("the dump cannot be read") }
        var fields: [Example.Field] = []
        for text in body.dropFirst(dump.count) {
            guard let equals = text.firstRange(of: " = "),
                let values = SQLLiteral.parse(text[equals.upperBound...])
            else { throw Mismatch("no field: \(text)") }
            fields.append(Example.Field(name: String(text[..<equals.lowerBound]), values: values))
        }
        return Example(kind: kind, table: info.count == 3 ? info[2] : nil, line: line, bytes: bytes, fields: fields)
    }

    func examples(_ kind: ExampleKind) -> [Example] { examples.filter { $0.kind == kind } }

    func rows(_ table: String) -> [Example] { examples.filter { $0.kind == .row && $0.table == table } }

    /// The lines from a heading to the next one.
    func section(_ heading: String) -> ArraySlice<String> {
        guard let start = lines.firstIndex(of: heading) else { return [] }
        return lines[(start + 1)...].prefix { !$0.hasPrefix("#") }
    }

    /// The rows of the first table in a section whose header begins with `first`, cell by cell.
    func table(in heading: String, first: String) -> [[String]] {
        let section = section(heading)
        guard let header = section.firstIndex(where: { $0.hasPrefix("| \(first) |") }) else { return [] }
        return section[(header + 2)...].prefix { $0.hasPrefix("|") }.map { line in
            line.dropFirst().dropLast().split(separator: "|", omittingEmptySubsequences: false)
                .map { String($0).trimming(" ") }
        }
    }

    /// Where a fixed record's fields stand: rows `offset | bytes | field` of a section's table.
    func layout(in heading: String) -> [(name: String, offset: Int, width: Int)] {
        table(in: heading, first: "offset").compactMap { cells in
            guard cells.count >= 3, let offset = Int(cells[0]), let width = Int(cells[1]) else { return nil }
            return (cells[2].trimming("`"), offset, width)
        }
    }

    /// The whole text with each run of white space as one space.
    var flowed: String { lines.joined(separator: " ").split(separator: " ").joined(separator: " ") }
}

extension String {
    /// Without `character` at both ends.
    func trimming(_ character: Character) -> String {
        var text = self[...]
        while text.first == character { text.removeFirst() }
        while text.last == character { text.removeLast() }
        return String(text)
    }
}
