import IOMMUModel

/// An I/O address space of iommufd: which IOVA stands for which byte of which memory. Its HWPTs hold the same in tables.
public struct IOAS: Sendable {
    /// Unique in the engine, never used again.
    public let id: IOASID
    /// Sorted by IOVA, never overlapping.
    public internal(set) var areas: [IOPTArea] = []
    /// Where userspace wants to map; `nil`: anywhere. Sorted, never overlapping.
    public internal(set) var allowed: [IOVARange]?
    /// What attached groups and the width of attached tables forbid.
    public internal(set) var reserved: [Reservation] = []
    /// Whether its areas say anything that the tables do not say themselves.
    public let areaOrigin: AreaOrigin
    /// How many preserved devices hold it; map, unmap and attach answer `EBUSY` while there is one.
    public internal(set) var preservedCount = 0
    /// In the order in which they were made; all hold the same areas.
    public internal(set) var hwpts: [HWPTID] = []

    /// A range that nothing may be mapped in, and on whose behalf.
    public struct Reservation: Sendable, Hashable {
        /// On whose behalf: it goes when that goes.
        public enum Reason: Sendable, Hashable {
            /// A reserved region of an attached group, or the interrupt window.
            case group(GroupID)
            /// All that lies beyond the input width of the HWPT's tables.
            case width(HWPTID)
        }
        /// Both ends included.
        public var range: IOVARange
        /// What the reservation goes away with.
        public var reason: Reason
    }

    init(id: IOASID, allowed: [IOVARange]?, areaOrigin: AreaOrigin) {
        self.id = id
        self.allowed = allowed?.sorted()
        self.areaOrigin = areaOrigin
    }

    /// Set at preserve.
    public var isImmutable: Bool { preservedCount > 0 }

    /// The index of the first area that ends at or after `iova`. O(log n).
    func firstIndex(endingAtOrAfter iova: IOVA) -> Int {
        var low = 0
        var high = areas.count
        while low < high {
            let middle = (low + high) / 2
            if areas[middle].range.last < iova { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The areas that touch `range`, as indices. O(log n + result).
    func indices(touching range: IOVARange) -> Range<Int> {
        let first = firstIndex(endingAtOrAfter: range.first)
        var end = first
        while end < areas.count, areas[end].range.first <= range.last { end += 1 }
        return first..<end
    }

    /// True when nothing forbids reserving `range`: no area touches it and no allowed range asks for it.
    func canReserve(_ range: IOVARange) -> Bool {
        indices(touching: range).isEmpty && !(allowed ?? []).contains { $0.overlaps(range) }
    }

    /// True when `range` lies inside the allowed ranges and outside every reserved one.
    func permits(_ range: IOVARange) -> Bool {
        if let allowed, !Self.covers(allowed, range) { return false }
        return !reserved.contains { $0.range.overlaps(range) }
    }

    /// True when the sorted `ranges` together cover `wanted` without a gap.
    private static func covers(_ ranges: [IOVARange], _ wanted: IOVARange) -> Bool {
        var next = wanted.first
        for range in ranges where range.last >= next {
            guard range.first <= next else { return false }
            guard range.last < wanted.last else { return true }
            next = IOVA(range.last.rawValue + 1)
        }
        return false
    }
}
