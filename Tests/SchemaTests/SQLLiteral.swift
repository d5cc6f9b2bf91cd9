import SQLite

/// Values as the examples write them: `12`, `-1`, `0x0c`, `'text'`, `x'0c'`, `NULL`.
enum SQLLiteral {
    /// The values of one line, separated by one space; `nil` when one is malformed.
    static func parse(_ line: some StringProtocol) -> [SQLValue]? {
        let bytes = Array(line.utf8)
        let quote = UInt8(ascii: "'")
        var values: [SQLValue] = []
        var start = 0
        while start < bytes.count {
            let opening = bytes[start] == quote ? start : bytes[start...].starts(with: "x'".utf8) ? start + 1 : nil
            var end: Int
            if let opening {
                guard let closing = bytes[(opening + 1)...].firstIndex(of: quote) else { return nil }
                end = closing + 1
            } else {
                end = bytes[start...].firstIndex(of: UInt8(ascii: " ")) ?? bytes.count
            }
            guard let value = value(String(decoding: bytes[start..<end], as: UTF8.self)) else { return nil }
            values.append(value)
            if end == bytes.count { return values }
            guard bytes[end] == UInt8(ascii: " ") else { return nil }
            start = end + 1
        }
        return nil
    }

    private static func value(_ word: String) -> SQLValue? {
        if word == "NULL" { return .null }
        if word.hasPrefix("0x") { return UInt64(word.dropFirst(2), radix: 16).map { .integer(Int64(bitPattern: $0)) } }
        if word.hasPrefix("'"), word.hasSuffix("'") { return .text(String(word.dropFirst().dropLast())) }
        if word.hasPrefix("x'"), word.hasSuffix("'") {
            return HexDump.bytes(digits: word.dropFirst(2).dropLast()).map { .blob($0) }
        }
        return Int64(word).map { .integer($0) }
    }

    /// The text of `value`.
    static func text(_ value: SQLValue) -> String {
        switch value {
        case .null: "NULL"
        case .integer(let integer): String(integer)
        case .real(let real): String(real)
        case .text(let text): "'\(text)'"
        case .blob(let bytes): "x'" + bytes.map(HexDump.digits).joined() + "'"
        }
    }
}
