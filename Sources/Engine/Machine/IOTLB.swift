import IOMMUModel

/// The translation cache of one unit: direct-mapped, keyed by (tag and PASID, 4 KiB page).
///
/// What is cached stays until it is invalidated or displaced, whatever memory says by then: an engine that forgets an
/// invalidation is served the old translation, as by hardware. Non-present translations are not cached (CAP.CM = 0).
public struct IOTLB: Sendable {
    /// One cached translation of a 4 KiB page.
    public struct Entry: Sendable, Hashable {
        /// Number of the input page.
        var page: UInt64
        /// ``CacheSpace/bits``; 0 when empty.
        var spaceBits: UInt64
        /// Physical page in 63:12, protection in 1:0, bit 2: the leaf's dirty bit is known to be set.
        var payload: UInt64
        /// Who filled it: where a fresh walk has to start.
        public var source: AttachmentKey

        /// The tag, and PASID where that is part of the key, of the domain that translated it.
        public var space: CacheSpace { CacheSpace(bits: spaceBits) }
        /// The cached page's first address.
        public var iova: IOVA { IOVA(page: page) }
        /// The page that it translates to, 4 KiB aligned.
        public var pa: PhysicalAddress { PhysicalAddress(payload & ~0xfff) }
        /// The rights of all entries on the way, ANDed.
        public var protection: Protection { Protection(rawValue: UInt8(truncatingIfNeeded: payload) & 3) }
        var isDirty: Bool { payload & 4 != 0 }
    }

    private var slots: ContiguousArray<Entry>
    private let mask: UInt64

    /// A cache of `2^slotsLog2` pages.
    public init(slotsLog2: Int = 12) {
        mask = (1 << UInt64(slotsLog2)) - 1
        let empty = Entry(
            page: 0, spaceBits: 0, payload: 0, source: AttachmentKey(RequesterID(segment: 0, rid: 0)))
        slots = ContiguousArray(repeating: empty, count: 1 << slotsLog2)
    }

    @inline(__always) private func slot(_ space: CacheSpace, _ page: UInt64) -> Int {
        let salt = (space.bits &+ space.bits &>> 32) &* 977
        return Int(truncatingIfNeeded: (page &+ salt) & mask)
    }

    /// The cached translation of `iova`'s page, or `nil`. O(1), no allocation.
    @inline(__always) public func lookup(_ space: CacheSpace, iova: IOVA) -> Entry? {
        let index = slot(space, iova.page)
        guard slots[index].page == iova.page, slots[index].spaceBits == space.bits else { return nil }
        return slots[index]
    }

    /// Caches the translation of `iova`'s page, displacing what shares its place.
    mutating func fill(
        _ space: CacheSpace, iova: IOVA, pa: PhysicalAddress, protection: Protection, isDirty: Bool,
        source: AttachmentKey
    ) {
        slots[slot(space, iova.page)] = Entry(
            page: iova.page, spaceBits: space.bits,
            payload: pa.pageBase.rawValue | UInt64(protection.rawValue) | (isDirty ? 4 : 0), source: source)
    }

    /// Forgets every page of `space` that `range` touches; `nil`: all of the space.
    mutating func invalidate(_ space: CacheSpace, range: IOVARange?) {
        if let range, range.last.page - range.first.page <= mask / 4 {
            for page in range.first.page...range.last.page {
                let index = slot(space, page)
                if slots[index].page == page, slots[index].spaceBits == space.bits { slots[index].spaceBits = 0 }
            }
            return
        }
        forget { entry in
            entry.spaceBits == space.bits
                && range.map { entry.page >= $0.first.page && entry.page <= $0.last.page } ?? true
        }
    }

    /// Forgets every page of every space with `tag` (VT-d 6.5.2.3: domain-selective; AMD: all of a DomainID).
    mutating func invalidate(tag: UInt32) { forget { $0.spaceBits != 0 && $0.space.tag == tag } }

    mutating func invalidateAll() { forget { _ in true } }

    private mutating func forget(_ isWanted: (Entry) -> Bool) {
        for index in slots.indices where isWanted(slots[index]) { slots[index].spaceBits = 0 }
    }

    /// Every valid entry, sorted by space, then IOVA.
    public var entries: [Entry] {
        slots.filter { $0.spaceBits != 0 }.sorted { ($0.spaceBits, $0.page) < ($1.spaceBits, $1.page) }
    }
}
