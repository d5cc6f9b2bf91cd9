import IOMMUModel

/// The context cache of one unit: which tag and which way a requester's accesses go, as last read from memory.
///
/// As the IOTLB it serves what it holds until it is invalidated (VT-d 6.2.2). Only usable entries are cached.
public struct ContextCache: Sendable {
    /// What one context entry said when it was read.
    public struct Entry: Sendable, Hashable {
        /// Whose entry it is.
        public var requester: RequesterID
        /// The tag that its translations are cached under (VT-d: DID, 16 bits).
        public var cacheTag: UInt32
        /// Addresses pass through; no tables.
        public var isPassThrough: Bool
    }

    private var entries: [RequesterID: Entry] = [:]

    @inline(__always) func lookup(_ requester: RequesterID) -> Entry? { entries[requester] }

    mutating func fill(_ entry: Entry) { entries[entry.requester] = entry }
    mutating func invalidate(_ requester: RequesterID) { entries[requester] = nil }
    mutating func invalidateAll() { entries.removeAll(keepingCapacity: true) }

    /// Every cached entry, sorted by requester.
    public var sorted: [Entry] { entries.values.sorted { $0.requester < $1.requester } }
}
