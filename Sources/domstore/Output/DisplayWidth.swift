/// How many terminal cells text takes, and how to cut it.
enum DisplayWidth {
    /// The cells that escaped `text` takes.
    static func of(_ text: String) -> Int {
        let bytes = text.utf8
        if bytes.allSatisfy({ $0 < 0x80 }) { return bytes.count }
        return text.unicodeScalars.reduce(0) { $0 + cells($1) }
    }

    /// `text` if it fits into `width` cells, else its beginning and `…`; of an address the end, which tells neighbours
    /// apart. `width` is at least 1.
    static func shortened(_ text: String, to width: Int) -> String {
        guard of(text) > width else { return text }
        if width > 3, text.hasPrefix("0x"), text.utf8.dropFirst(2).allSatisfy({ isHexDigit($0) }) {
            return "0x…" + text.suffix(width - 3)
        }
        var result = ""
        var used = 0
        for character in text {
            let more = character.unicodeScalars.reduce(0) { $0 + cells($1) }
            if used + more > width - 1 { break }
            result.append(character)
            used += more
        }
        return result + "…"
    }

    /// `text` filled with spaces to `width` cells, on the left when `right` aligned.
    static func padded(_ text: String, to width: Int, right: Bool) -> String {
        let fill = String(repeating: " ", count: max(0, width - of(text)))
        return right ? fill + text : text + fill
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    /// 0 for marks that combine, 2 for the wide scripts and pictographs, 1 for the rest.
    private static func cells(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        switch scalar.value {
        case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f,
            0xff00...0xff60, 0xffe0...0xffe6, 0x1f300...0x1f64f, 0x1f900...0x1f9ff, 0x20000...0x3fffd:
            return 2
        default: return 1
        }
    }
}
