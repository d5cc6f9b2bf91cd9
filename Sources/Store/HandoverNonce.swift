/// 16 random bytes that stand both in the seal and in the memory that survives the jump: restoring in place requires the
/// two to match.
public struct HandoverNonce: Sendable, Hashable, CustomStringConvertible {
    /// The first 8 bytes, big-endian.
    public let high: UInt64
    /// The last 8 bytes, big-endian.
    public let low: UInt64

    /// Any 128 bits. All zeros in memory mean that there is no nonce, so it is no good one.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A nonce from `generator`: the engine's random source is a parameter, so that a replay gives the same bytes.
    public init(using generator: inout some RandomNumberGenerator) {
        self.init(high: generator.next(), low: generator.next())
    }

    /// `nil` unless there are exactly 16 bytes.
    public init?(bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == 16 else { return nil }
        self.init(
            high: bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }, low: bytes[8...].reduce(0) { $0 << 8 | UInt64($1) })
    }

    /// Reads 32 hex digits.
    public init?(_ text: some StringProtocol) {
        let digits = Array(text.utf8)
        guard digits.count == 32, let high = HexText.parse(digits[..<16]), let low = HexText.parse(digits[16...]) else {
            return nil
        }
        self.init(high: high, low: low)
    }

    /// The 16 bytes, as in the file and in memory.
    public var bytes: [UInt8] {
        [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
    }

    /// 32 lower-case hex digits.
    public var description: String { HexText.digits(high) + HexText.digits(low) }
}
