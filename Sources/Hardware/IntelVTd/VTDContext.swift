import IOMMUModel
import PageTables

/// What a valid context entry makes of a request.
public struct VTDContext: Sendable, Hashable {
    public var entry: VTDContextEntry
    /// Where the entry stands.
    public var entryAddress: PhysicalAddress
    public var translation: Translation

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
    case context(VTDContext)
    case fault(VTDContextFault)
    /// A root or context table that is not in memory: unknown, not a fault.
    case absent(page: PhysicalAddress)
}
