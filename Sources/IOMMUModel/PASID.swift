/// A Process Address Space ID of a request: 20 bits (PCIe 6.20).
///
/// A request *without* a PASID is written `nil` of type `PASID?` and called untagged (Linux's `IOMMU_NO_PASID`). It is
/// not PASID 0: VT-d looks it up under RID_PASID, AMD under GIoV, SMMUv3 under S1DSS. It prints as `-`.
@frozen
public struct PASID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// 0 to ``maximum``.
    public let rawValue: UInt32

    /// The highest PASID, 2^20 - 1.
    public static let maximum: UInt32 = 0xf_ffff

    /// `nil` when `rawValue` needs more than 20 bits.
    @inlinable public init?(_ rawValue: UInt32) {
        guard rawValue <= 0xf_ffff else { return nil }
        self.rawValue = rawValue
    }

    /// By number.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    /// `0x` and as few lower-case hex digits as it takes.
    public var description: String { hex(UInt64(rawValue), digits: 1) }
}

extension PASID? {
    /// Untagged first, then by number: the order of every listing.
    @inlinable public static func precedes(_ a: PASID?, _ b: PASID?) -> Bool {
        switch (a, b) {
        case (nil, nil): false
        case (nil, _): true
        case (_, nil): false
        case (let a?, let b?): a < b
        }
    }

    /// `-` when untagged, otherwise the PASID in hexadecimal.
    public var label: String { self?.description ?? "-" }
}
