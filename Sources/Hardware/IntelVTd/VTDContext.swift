import IOMMUModel
import PageTables

/// What a valid context entry makes of a request.
public struct VTDContext: Sendable, Hashable {
    /// Both words, as read.
    public var entry: VTDContextEntry
    /// Where the entry stands.
    public var entryAddress: PhysicalAddress
    /// What the entry says, by ``VTDUnitHardware/interpret(_:)``.
    public var translation: Translation

    /// Where a request's address goes.
    public enum Translation: Sendable, Hashable {
        /// Addresses pass unchanged.
        case passThrough
        /// Through the second-stage tables at this root.
        case tables(PageTableConfiguration, root: PhysicalAddress)
    }

    /// The tag of the unit's caches.
    public var domainID: UInt16 { entry.domainID }
}

/// What the lookup of one requester ends in.
public enum VTDResolution: Sendable, Hashable {
    /// The hardware goes on with this context.
    case context(VTDContext)
    /// The hardware refuses every request of the requester.
    case fault(VTDContextFault)
    /// A root or context table that is not in memory: unknown, not a fault.
    case absent(page: PhysicalAddress)
}
