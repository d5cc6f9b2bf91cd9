/// Breaks long lines for a terminal.
enum Wrapping {
    /// A space at which no line is broken.
    static let fixedSpace: Character = "\u{a0}"

    /// `text` in lines of at most `width` cells, broken at spaces; all but the first begin with `indent` spaces.
    ///
    /// A word too long for a line stands on one of its own, whole: an address that is cut is worth nothing. `nil` as width:
    /// one line.
    static func lines(_ text: String, width: Int?, indent: Int) -> [String] {
        guard let width, width > indent, DisplayWidth.of(text) > width else { return [trimmed(text)] }
        let margin = String(repeating: " ", count: indent)
        var result: [String] = []
        var line = ""
        var isEmpty = true
        // Spaces at the beginning and those between columns stay: only where a line ends they go.
        for part in text.split(separator: " ", omittingEmptySubsequences: false) {
            let word = String(part)
            if isEmpty {
                line += word
                isEmpty = false
            } else if DisplayWidth.of(line) + 1 + DisplayWidth.of(word) <= width {
                line += " " + word
            } else if !word.isEmpty {
                result.append(trimmed(line))
                line = margin + word
            }
        }
        return result + [trimmed(line)]
    }

    private static func trimmed(_ line: String) -> String {
        var line = line
        while line.hasSuffix(" ") { line.removeLast() }
        return String(line.map { $0 == fixedSpace ? " " : $0 })
    }
}
