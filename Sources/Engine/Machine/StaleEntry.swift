import IOMMUModel

/// A cached translation that a fresh walk from the root register does not give: an invalidation was forgotten.
public struct StaleEntry: Sendable, Hashable, CustomStringConvertible {
    public enum Cache: String, Sendable, Hashable {
        case context, iotlb
    }
    public var unit: UnitID
    public var cache: Cache
    /// Whose access filled it.
    public var requester: RequesterID
    public var cacheTag: UInt32
    /// The page cached; `nil` for a context entry.
    public var iova: IOVA?
    /// What the cache would answer; `nil` for a context entry.
    public var pa: PhysicalAddress?

    public var description: String {
        let place = iova.map { " \($0)" } ?? ""
        return "unit \(unit): stale \(cache.rawValue) entry of \(requester), tag \(cacheTag)\(place)"
    }
}
