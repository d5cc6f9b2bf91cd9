/// A key that 64 bits tell from most others, hashed by one multiplication.
///
/// Books and records are dictionaries of such keys, a device or a number each; the standard library's hash of them costs
/// more than what is looked up. The seed is the table's own, and no file can know it, so that keys made to collide do not.
public protocol SmallKey: Hashable {
    /// Equal keys have equal words; different keys should have different ones.
    var hashWord: UInt64 { get }
}

extension SmallKey {
    /// What `Set` and `Dictionary` ask for: the high half of the product makes every bit count, the low half keeps
    /// neighbours apart.
    @inlinable public func _rawHashValue(seed: Int) -> Int {
        let product = (hashWord ^ UInt64(truncatingIfNeeded: seed)).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
        return Int(truncatingIfNeeded: product.high ^ product.low)
    }
}

extension RequesterID: SmallKey {
    /// All of it.
    @inlinable public var hashWord: UInt64 { UInt64(segment) &<< 16 | UInt64(rid) }
}

extension PASID: SmallKey {
    /// All of it.
    @inlinable public var hashWord: UInt64 { UInt64(rawValue) }
}

extension PASID? {
    /// Of 21 bits, for the hash of a key that it is part of; untagged is not PASID 0.
    @inlinable public var hashPart: UInt64 { map { UInt64($0.rawValue) &+ 1 } ?? 0 }
}

extension ObjectID: SmallKey {
    /// All of it.
    @inlinable public var hashWord: UInt64 { UInt64(rawValue) }
}

extension Address: SmallKey {
    /// All of it.
    @inlinable public var hashWord: UInt64 { rawValue }
}
