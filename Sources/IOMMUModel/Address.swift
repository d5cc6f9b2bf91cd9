/// An address in one of the address spaces an IOMMU joins.
///
/// `Space` keeps the kinds apart: an ``IOVA`` is never added to, compared with or passed as a ``PhysicalAddress``.
/// There is no implicit arithmetic; every step names what it does.
@frozen
public struct Address<Space: AddressSpace>: Hashable, Comparable, Sendable {
    /// The address in bytes.
    public var rawValue: UInt64

    /// Any 64 bits; neither width nor alignment is checked.
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The address of 4 KiB page `number`; only the low 52 bits of `number` count.
    @inlinable public init(page number: UInt64) { self.rawValue = number &<< 12 }

    /// The number of the 4 KiB page this address lies in.
    @inlinable public var page: UInt64 { rawValue &>> 12 }

    /// The first byte of the 4 KiB page this address lies in.
    @inlinable public var pageBase: Self { Self(rawValue & ~0xfff) }

    /// The byte offset inside the 4 KiB page, 0 to 4095.
    @inlinable public var pageOffset: UInt64 { rawValue & 0xfff }

    /// True when the low `log2` bits are zero. `log2` is 0 to 63.
    @inlinable public func isAligned(toLog2 log2: Int) -> Bool { rawValue & ((1 &<< UInt64(log2)) &- 1) == 0 }

    /// The address `bytes` further on, or `nil` past the end of the 64-bit space.
    @inlinable public func offset(by bytes: UInt64) -> Self? {
        let (sum, overflow) = rawValue.addingReportingOverflow(bytes)
        return overflow ? nil : Self(sum)
    }

    /// The number of bytes from `other` up to this address; `other` must not be higher.
    @inlinable public func distance(from other: Self) -> UInt64 { rawValue - other.rawValue }

    /// By ``rawValue``, unsigned.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A marker for one address space; never instantiated.
public protocol AddressSpace: Sendable {}

/// The space of addresses that a device puts on the bus.
public enum IOVASpace: AddressSpace {}

/// The space of host physical addresses.
public enum PhysicalSpace: AddressSpace {}

/// An I/O virtual address: what a device puts on the bus, before translation.
public typealias IOVA = Address<IOVASpace>

/// A host physical address: what a table entry holds and what a translation ends in.
public typealias PhysicalAddress = Address<PhysicalSpace>

extension Address: CustomStringConvertible {
    /// `0x` and 16 lower-case hex digits, so that text sorts as the number does.
    public var description: String { hex(rawValue) }
}
