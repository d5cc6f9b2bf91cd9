import ArgumentParser

/// The form of a listing on standard output.
enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
    /// Aligned columns for people.
    case table
    /// One array of objects.
    case json
    /// One object a line.
    case jsonl
    /// RFC 4180 with a header line; lines end in a line feed.
    case csv
}

/// When to colour.
enum ColorMode: String, CaseIterable, ExpressibleByArgument {
    /// On a terminal, unless `NO_COLOR` is set.
    case auto
    case always
    case never
}
