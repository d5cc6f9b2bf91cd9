/// JSON text of single values. Nothing here holds more than one value.
enum JSONText {
    /// `text` as a JSON string. Beside what JSON demands, everything that ``Escaping`` calls unsafe is written as
    /// `\uXXXX`: the value is the same, and a terminal is safe from it.
    static func string(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case let scalar where Escaping.isUnsafe(scalar):
                for unit in UTF16.encode(scalar)! { result += "\\u" + Escaping.hexDigits(UInt32(unit), 4) }
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    static func value(_ cell: Cell) -> String {
        switch cell {
        case .null: "null"
        case .integer(let number): String(number)
        // JSON has no infinity.
        case .real(let number): number.isFinite ? String(number) : string(String(number))
        case .text(let text): string(text)
        case .flag(let flag): flag ? "true" : "false"
        }
    }

    /// One object on one line, keys in the order given.
    static func object(_ fields: some Sequence<(String, Cell)>) -> String {
        object(members: fields.map { ($0, value($1)) })
    }

    /// One object on one line from members that are JSON text already.
    static func object(members: [(String, String)]) -> String {
        "{" + members.map { string($0) + ": " + $1 }.joined(separator: ", ") + "}"
    }
}
