/// A range of addresses, both ends included, so that the last byte of the space can be named.
@frozen
public struct AddressRange<Space: AddressSpace>: Hashable, Sendable {
    /// The first address in the range.
    public let first: Address<Space>
    /// The last address in the range, never below ``first``.
    public let last: Address<Space>

    /// `first` to `last`, both included; `nil` when `last` is below `first`.
    @inlinable public init?(first: Address<Space>, last: Address<Space>) {
        guard first <= last else { return nil }
        self.first = first
        self.last = last
    }

    /// `bytes` bytes from `first` on; `nil` when `bytes` is 0 or the range would pass the end of the 64-bit space.
    @inlinable public init?(first: Address<Space>, bytes: UInt64) {
        guard bytes > 0, let last = first.offset(by: bytes - 1) else { return nil }
        self.first = first
        self.last = last
    }

    /// The whole 64-bit space.
    @inlinable public static var all: Self { Self(first: .init(0), last: .init(.max))! }

    /// The number of bytes minus one: the full space has no 64-bit length.
    @inlinable public var lastOffset: UInt64 { last.rawValue &- first.rawValue }

    /// The number of bytes, or `nil` for the whole 64-bit space.
    @inlinable public var byteCount: UInt64? { lastOffset == .max ? nil : lastOffset &+ 1 }

    /// True for both ends and all between.
    @inlinable public func contains(_ address: Address<Space>) -> Bool { first <= address && address <= last }

    /// True when no address of `other` lies outside; every range contains itself.
    @inlinable public func contains(_ other: Self) -> Bool { first <= other.first && other.last <= last }

    /// True when the ranges share at least one address.
    @inlinable public func overlaps(_ other: Self) -> Bool { first <= other.last && other.first <= last }

    /// The part that both ranges cover, or `nil`.
    @inlinable public func intersection(_ other: Self) -> Self? {
        Self(first: max(first, other.first), last: min(last, other.last))
    }

    /// True when both ends lie on a boundary of `2^log2` bytes (the last byte just below one).
    @inlinable public func isAligned(toLog2 log2: Int) -> Bool {
        first.isAligned(toLog2: log2) && Address<Space>(last.rawValue &+ 1).isAligned(toLog2: log2)
    }
}

/// A range of I/O virtual addresses, both ends included.
public typealias IOVARange = AddressRange<IOVASpace>

/// A range of host physical addresses, both ends included.
public typealias PhysicalRange = AddressRange<PhysicalSpace>

extension AddressRange: Comparable {
    /// By first address, then by last.
    @inlinable public static func < (a: Self, b: Self) -> Bool { (a.first, a.last) < (b.first, b.last) }
}

extension AddressRange: CustomStringConvertible {
    /// `FIRST-LAST`, both as ``Address/description`` has them.
    public var description: String { "\(first)-\(last)" }
}
