import Glibc

/// What the program says to people on standard error. Data never goes here.
enum Talk {
    /// One line `domstore: …`. The text is escaped; it may quote an input.
    static func say(_ message: String) { write("domstore: " + Escaping.escapedLine(message) + "\n") }

    /// One line `domstore: …` about a failure, in colour where that is wanted. The command line may have been refused:
    /// `--color` is looked for in its words.
    static func complain(_ message: String) {
        let words = CommandLine.arguments
        let color = words.indices.compactMap { index in
            if words[index].hasPrefix("--color=") { return ColorMode(rawValue: String(words[index].dropFirst(8))) }
            guard words[index] == "--color", index + 1 < words.count else { return nil }
            return ColorMode(rawValue: words[index + 1])
        }
        let isTerminal = isatty(STDERR_FILENO) == 1
        let prefix = Style.error.applied(
            to: "domstore:", when: Terminal.usesColor(color.last ?? .auto, isTerminal: isTerminal))
        write(prefix + " " + Escaping.escapedLine(message) + "\n")
    }

    /// `text` as it is. Standard error that cannot be written leaves nothing to say it with.
    static func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress!, $0.count) }
            if written > 0 {
                bytes = bytes.dropFirst(written)
            } else if errno != EINTR {
                return
            }
        }
    }
}

extension Escaping {
    /// `text` on one line and safe, backslashes as they are: for messages, whose parts may be escaped already.
    static func escapedLine(_ text: String) -> String {
        text.split(separator: "\\", omittingEmptySubsequences: false).map { escaped(String($0)) }
            .joined(separator: "\\")
    }
}
