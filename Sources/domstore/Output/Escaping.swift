/// Makes text that was read from an input safe to print.
///
/// Escaped are: control characters (C0, DEL, C1), everything that reorders or hides text (bidirectional controls, line
/// and paragraph separators, other format characters), bytes that are no UTF-8, and the backslash itself, so that the
/// result can be read back without doubt: `\n`, `\t`, `\u{202e}`, `\xff`, `\\`.
enum Escaping {
    /// `text` for a terminal or a table.
    static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0 == "\\" || isUnsafe($0) }) else { return text }
        var result = ""
        for scalar in text.unicodeScalars { append(scalar, to: &result) }
        return result
    }

    /// The same for bytes that may or may not be UTF-8.
    static func escaped(bytes: some Sequence<UInt8>) -> String {
        let bytes = Array(bytes)
        var result = ""
        var index = 0
        while index < bytes.count {
            if let (scalar, length) = decodeScalar(bytes, at: index) {
                append(scalar, to: &result)
                index += length
            } else {
                result += "\\x" + hexDigits(UInt32(bytes[index]), 2)
                index += 1
            }
        }
        return result
    }

    /// True for scalars that must not reach a terminal as they are.
    static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f..<0xa0: true
        case 0x20..<0x7f: false
        case 0x2028, 0x2029: true
        default: scalar.properties.generalCategory == .format
        }
    }

    /// `value` in at least `digits` lower-case hex digits, without prefix.
    static func hexDigits(_ value: UInt32, _ digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    private static func append(_ scalar: Unicode.Scalar, to result: inout String) {
        switch scalar {
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case let scalar where isUnsafe(scalar): result += "\\u{" + hexDigits(scalar.value, 1) + "}"
        default: result.unicodeScalars.append(scalar)
        }
    }

    /// The scalar whose UTF-8 form begins at `index`, with its length; `nil` when none does.
    private static func decodeScalar(_ bytes: [UInt8], at index: Int) -> (Unicode.Scalar, Int)? {
        let length =
            switch bytes[index] {
            case 0..<0x80: 1
            case 0xc2..<0xe0: 2
            case 0xe0..<0xf0: 3
            case 0xf0..<0xf5: 4
            default: 0
            }
        guard length > 0, index + length <= bytes.count,
            let text = String(validating: bytes[index..<index + length], as: UTF8.self),
            let scalar = text.unicodeScalars.first
        else { return nil }
        return (scalar, length)
    }
}
