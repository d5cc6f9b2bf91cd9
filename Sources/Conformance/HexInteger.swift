import IOMMUModel

/// A number that a vector file writes as hexadecimal text or as a JSON number.
struct HexInteger: Decodable, Sendable, Hashable {
    var value: UInt64

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(UInt64.self) {
            value = number
            return
        }
        let text = try container.decode(String.self)
        guard let number = parseInteger(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(text) is no 64-bit number")
        }
        value = number
    }
}
