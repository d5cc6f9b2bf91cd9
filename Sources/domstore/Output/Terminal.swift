import Glibc

/// What the process knows about the terminal behind a descriptor.
enum Terminal {
    /// The number of columns, or `nil` when `sink` is no terminal: what is piped is never cut.
    static func width(of sink: OutputSink) -> Int? {
        guard sink.isTerminal else { return nil }
        if let text = environment("COLUMNS"), let columns = Int(text), columns > 0 { return columns }
        var size = winsize()
        guard ioctl(sink.descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// Whether to colour what goes to a descriptor that is, or is not, a terminal.
    static func usesColor(_ mode: ColorMode, isTerminal: Bool) -> Bool {
        switch mode {
        case .always: true
        case .never: false
        case .auto: isTerminal && (environment("NO_COLOR") ?? "").isEmpty && environment("TERM") != "dumb"
        }
    }

    /// The value of an environment variable, or `nil`.
    static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

/// What can be said in colour.
enum Style: String {
    case header = "1"
    case error = "1;31"
    case warning = "33"
    case note = "36"
    case good = "32"

    /// `text` in this style, when `enabled`.
    func applied(to text: String, when enabled: Bool) -> String {
        enabled ? "\u{1b}[\(rawValue)m\(text)\u{1b}[0m" : text
    }

    /// The style of words that weigh something wherever they stand alone in a cell.
    init?(word: String) {
        switch word {
        case "error", "stop", "failed": self = .error
        case "warning", "degraded": self = .warning
        case "note": self = .note
        default: return nil
        }
    }
}
