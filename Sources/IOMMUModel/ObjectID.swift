/// The number of an object of one kind in one engine or generation; kinds do not mix.
///
/// As in iommufd, ids are not ABI: they identify a record inside one generation, tokens identify it across generations.
@frozen
public struct ObjectID<Kind: ObjectKind>: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Any 32 bits: 0 is not special.
    public let rawValue: UInt32
    /// Any 32 bits; the object need not exist.
    @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }
    /// By number.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// Decimal.
    public var description: String { String(rawValue) }
}

/// A marker for one kind of object; never instantiated.
public protocol ObjectKind: Sendable {}

/// The marker of ``UnitID``.
public enum UnitKind: ObjectKind {}
/// The marker of ``GroupID``.
public enum GroupKind: ObjectKind {}
/// The marker of ``DomainID``.
public enum DomainObjectKind: ObjectKind {}
/// The marker of ``IOASID``.
public enum IOASKind: ObjectKind {}
/// The marker of ``HWPTID``.
public enum HWPTKind: ObjectKind {}
/// The marker of ``BackingID``.
public enum BackingKind: ObjectKind {}
/// The marker of ``SessionID``.
public enum SessionKind: ObjectKind {}

/// An IOMMU unit (a remapping hardware unit of VT-d, an IOMMU of AMD).
public typealias UnitID = ObjectID<UnitKind>
/// An IOMMU group: the devices that cannot be told apart or kept apart.
public typealias GroupID = ObjectID<GroupKind>
/// A translation domain.
public typealias DomainID = ObjectID<DomainObjectKind>
/// An I/O address space of iommufd.
public typealias IOASID = ObjectID<IOASKind>
/// A hardware page table object of iommufd.
public typealias HWPTID = ObjectID<HWPTKind>
/// A file or range of memory that areas are backed by.
public typealias BackingID = ObjectID<BackingKind>
/// A live-update session.
public typealias SessionID = ObjectID<SessionKind>
