import IOMMUModel

/// The context cache of one unit (with VT-d's PASID cache, AMD's device table cache): which space and which way the
/// requests of one requester and PASID go, as last read from memory. Direct-mapped.
///
/// As the IOTLB it serves what it holds until it is invalidated (VT-d 6.2.2). Only usable entries are cached.
public struct ContextCache: Sendable {
    /// What the lookup structures said when they were read.
    public struct Entry: Sendable, Hashable {
        /// Whose requests they are.
        public var key: AttachmentKey
        /// What their translations are cached under.
        public var space: CacheSpace
        /// What a request may do whose address passes unchanged; `nil`: through tables.
        public var passThrough: Protection?
    }

    private var slots: ContiguousArray<Entry?>
    private let mask: UInt64

    /// A cache of `2^slotsLog2` contexts.
    public init(slotsLog2: Int = 10) {
        mask = (1 << UInt64(slotsLog2)) - 1
        slots = ContiguousArray(repeating: nil, count: 1 << slotsLog2)
    }

    @inline(__always) private func slot(_ key: AttachmentKey) -> Int {
        let pasid = key.pasid.map { UInt64($0.rawValue) &+ 1 } ?? 0
        // A unit serves one segment: requester id and PASID tell its requests apart.
        return Int(truncatingIfNeeded: (UInt64(key.requester.rid) &+ pasid &* 0x9e5) & mask)
    }

    @inline(__always) func lookup(_ key: AttachmentKey) -> Entry? {
        guard let entry = slots[slot(key)], entry.key == key else { return nil }
        return entry
    }

    mutating func fill(_ entry: Entry) { slots[slot(entry.key)] = entry }

    mutating func invalidate(_ key: AttachmentKey) {
        let index = slot(key)
        if slots[index]?.key == key { slots[index] = nil }
    }

    /// Forgets all of a device, whatever the PASID.
    mutating func invalidate(_ requester: RequesterID) {
        for index in slots.indices where slots[index]?.key.requester == requester { slots[index] = nil }
    }

    mutating func invalidateAll() {
        for index in slots.indices { slots[index] = nil }
    }

    /// Every cached entry, sorted by requester and PASID.
    public var sorted: [Entry] { slots.compactMap(\.self).sorted { $0.key < $1.key } }
}
