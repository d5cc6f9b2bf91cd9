/// Bytes as `0010: 00 01 …`, sixteen a line; `*` says that the line before is repeated up to the next offset.
enum HexDump {
    static func digits(_ byte: UInt8) -> String {
        let text = String(byte, radix: 16)
        return text.count == 1 ? "0" + text : text
    }

    /// Bytes of pairs of hex digits without spaces; `nil` for anything else.
    static func bytes(digits: some StringProtocol) -> [UInt8]? {
        let digits = Array(digits.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var result: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) else {
                return nil
            }
            result.append(byte)
        }
        return result
    }

    /// True when `line` is one of a dump.
    static func isLine(_ line: some StringProtocol) -> Bool {
        if line == "*" { return true }
        guard let colon = line.firstIndex(of: ":") else { return false }
        return line[..<colon].utf8.count >= 4 && line[..<colon].allSatisfy(\.isHexDigit)
    }

    /// The bytes of a dump; `nil` when an offset is not where the line before ends.
    static func parse(_ lines: [some StringProtocol]) -> [UInt8]? {
        var result: [UInt8] = []
        var last: [UInt8] = []
        var repeats = false
        for line in lines {
            if line == "*" {
                guard last.count == 16, !repeats else { return nil }
                repeats = true
                continue
            }
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let offset = Int(parts[0], radix: 16) else { return nil }
            if repeats {
                while result.count < offset { result += last }
                repeats = false
            }
            guard result.count == offset, let bytes = bytes(digits: String(parts[1].filter { $0 != " " })) else {
                return nil
            }
            last = bytes
            result += bytes
        }
        return repeats ? nil : result
    }

    /// The dump of `bytes`, without `*`.
    static func text(_ bytes: [UInt8]) -> String {
        stride(from: 0, to: bytes.count, by: 16).map { start in
            let offset = String(start, radix: 16)
            return String(repeating: "0", count: max(0, 4 - offset.count)) + offset + ": "
                + bytes[start..<min(start + 16, bytes.count)].map(digits).joined(separator: " ")
        }.joined(separator: "\n")
    }
}
