/// The digest over the manifest of a generation and what its seal states. Detects accidents, not forgery.
public struct RootDigest: Sendable, Hashable, CustomStringConvertible {
    /// XXH64; stored big-endian.
    public let rawValue: UInt64

    /// Any 64 bits.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Reads 16 hex digits.
    public init?(_ text: some StringProtocol) {
        guard let value = HexText.parse(Array(text.utf8)[...]) else { return nil }
        self.init(value)
    }

    /// 16 lower-case hex digits.
    public var description: String { HexText.digits(rawValue) }
}

/// Exactly 16 hex digits, no prefix: how digests and nonces are written.
enum HexText {
    static func digits(_ value: UInt64) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }

    static func parse(_ digits: ArraySlice<UInt8>) -> UInt64? {
        guard digits.count == 16 else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt64(digit - UInt8(ascii: "A") + 10)
            default: return nil
            }
        }
        return value
    }
}
