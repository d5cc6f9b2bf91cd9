/// One field of a hardware structure: bits `high` down to `low` of 64-bit word `word`.
@frozen
public struct BitField: Sendable, Hashable {
    /// As the vendor's specification names it, for example `SSPTPTR`.
    public let name: String
    /// Index of the little-endian 64-bit word inside the structure.
    public let word: Int
    /// Highest bit, 0 to 63.
    public let high: Int
    /// Lowest bit, 0 to ``high``.
    public let low: Int
    /// True for an address: its bits keep their place, so that the value is the address itself.
    public let isAddress: Bool

    /// Bits `high` down to `low` of `word`; 63 ≥ `high` ≥ `low` ≥ 0 is not checked.
    @inlinable public init(_ name: String, word: Int = 0, _ high: Int, _ low: Int, isAddress: Bool = false) {
        self.name = name
        self.word = word
        self.high = high
        self.low = low
        self.isAddress = isAddress
    }

    /// A field of one bit.
    @inlinable public init(_ name: String, word: Int = 0, bit: Int) { self.init(name, word: word, bit, bit) }

    /// The bits of the word that belong to the field.
    @inlinable public var mask: UInt64 {
        (~0 &>> UInt64(truncatingIfNeeded: 63 &- high &+ low)) &<< UInt64(truncatingIfNeeded: low)
    }

    /// The value of the field in `bits`, the structure's word ``word``.
    @inlinable public func value(in bits: UInt64) -> UInt64 {
        isAddress ? bits & mask : (bits & mask) &>> UInt64(truncatingIfNeeded: low)
    }

    /// `value` at the field's place; `nil` when it does not fit.
    @inlinable public func placed(_ value: UInt64) -> UInt64? {
        if isAddress { return value & ~mask == 0 ? value : nil }
        let bits = value &<< UInt64(truncatingIfNeeded: low)
        return bits & ~mask == 0 && bits &>> UInt64(truncatingIfNeeded: low) == value ? bits : nil
    }

    /// `value` at the field's place; one that does not fit is a bug of the caller.
    @inlinable public func encoded(_ value: UInt64) -> UInt64 {
        guard let bits = placed(value) else { preconditionFailure("the value does not fit into the field") }
        return bits
    }
}

/// Bits `high` down to `low` of word `word`.
@frozen
public struct BitRange: Sendable, Hashable {
    /// Index of the little-endian 64-bit word inside the structure.
    public let word: Int
    /// Highest bit, 0 to 63.
    public let high: Int
    /// Lowest bit, 0 to ``high``.
    public let low: Int

    /// 63 ≥ `high` ≥ `low` ≥ 0 is not checked.
    @inlinable public init(word: Int = 0, _ high: Int, _ low: Int) {
        self.word = word
        self.high = high
        self.low = low
    }

    /// The bits of the word that belong to the range.
    @inlinable public var mask: UInt64 {
        (~0 &>> UInt64(truncatingIfNeeded: 63 &- high &+ low)) &<< UInt64(truncatingIfNeeded: low)
    }
}

extension BitRange: CustomStringConvertible {
    /// `q1 63:24`, or `q1 7` for one bit.
    public var description: String { high == low ? "q\(word) \(low)" : "q\(word) \(high):\(low)" }
}
