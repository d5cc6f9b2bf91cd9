import IOMMUModel

/// The part of a cache key that tells one domain's translations from another's: the tag, and for first-stage tables the
/// PASID too (lifecycle.md, "cache tags").
@frozen
public struct CacheSpace: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Tag in 31:0, PASID in 51:32, bit 62 set when there is one, bit 63 always set, so that 0 is no space.
    @usableFromInline let bits: UInt64

    /// `pasid` is ``Hardware/RequestContext/cachePASID``: `nil` when the tag alone is the key.
    @inlinable public init(tag: UInt32, pasid: PASID?) {
        bits = 1 &<< 63 | UInt64(tag) | (pasid.map { 1 &<< 62 | UInt64($0.rawValue) &<< 32 } ?? 0)
    }

    init(bits: UInt64) { self.bits = bits }

    /// Spreads the pages of different spaces over a cache: added to a page's number.
    var salt: UInt64 { (bits &+ bits &>> 32) &* 977 }

    /// VT-d: a DID; AMD: a DomainID; SMMUv3: a VMID.
    @inlinable public var tag: UInt32 { UInt32(truncatingIfNeeded: bits) }

    /// `nil` when the tag alone is the key.
    @inlinable public var pasid: PASID? {
        bits & 1 &<< 62 == 0 ? nil : PASID(UInt32(truncatingIfNeeded: bits &>> 32) & PASID.maximum)
    }

    /// By PASID, those without one first, then by tag.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.bits < b.bits }

    /// `TAG`, or `TAG#PASID`.
    public var description: String { pasid.map { "\(tag)#\($0)" } ?? "\(tag)" }
}
