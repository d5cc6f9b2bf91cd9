import IOMMUModel

/// A cached translation that a fresh walk from the root register does not give: an invalidation was forgotten.
public struct StaleEntry: Sendable, Hashable, CustomStringConvertible {
    /// The two caches of a unit.
    public enum Cache: String, Sendable, Hashable {
        /// The context cache: space and way of one requester and PASID.
        case context
        /// The IOTLB: one page of one space.
        case iotlb
    }
    /// The unit whose cache it is.
    public var unit: UnitID
    /// Which of its caches.
    public var cache: Cache
    /// Whose access filled it.
    public var key: AttachmentKey
    /// What the entry is cached under.
    public var space: CacheSpace
    /// The page cached; `nil` for a context entry.
    public var iova: IOVA?
    /// What the cache would answer; `nil` for a context entry.
    public var pa: PhysicalAddress?

    /// One line: unit, cache, requester and PASID, tag, and the page of an IOTLB entry.
    public var description: String {
        let place = iova.map { " \($0)" } ?? ""
        return "unit \(unit): stale \(cache.rawValue) entry of \(key), tag \(space)\(place)"
    }
}
