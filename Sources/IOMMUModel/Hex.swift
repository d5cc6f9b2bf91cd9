/// `0x` and `digits` (at least) lower-case hex digits.
///
/// The one form in which addresses and words leave the program: 16 digits sort as text in the order of the numbers.
public func hex(_ value: UInt64, digits: Int = 16) -> String {
    let text = String(value, radix: 16)
    return "0x" + String(repeating: "0", count: max(0, digits - text.count)) + text
}

/// Reads `0x…` hexadecimal or plain decimal text; `nil` for anything else, also for text over 64 bits.
public func parseInteger(_ text: some StringProtocol) -> UInt64? {
    if text.hasPrefix("0x") || text.hasPrefix("0X") {
        let digits = text.dropFirst(2)
        guard let first = digits.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else { return nil }
        return UInt64(digits, radix: 16)
    }
    guard let first = text.utf8.first, first >= UInt8(ascii: "0"), first <= UInt8(ascii: "9") else { return nil }
    return UInt64(text)
}
