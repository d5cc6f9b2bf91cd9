import IOMMUModel

/// The translation cache of one unit: direct-mapped, keyed by (cache tag, 4 KiB page).
///
/// What is cached stays until it is invalidated or displaced, whatever memory says by then: an engine that forgets an
/// invalidation is served the old translation, as by hardware. Non-present translations are not cached (CAP.CM = 0).
public struct IOTLB: Sendable {
    /// One cached translation of a 4 KiB page.
    public struct Entry: Sendable, Hashable {
        /// Cache tag in 61:46, IOVA page in 45:0, bit 63 set: valid. 0 when empty.
        var key: UInt64
        /// Physical page in 63:12, protection in 1:0, bit 2: the leaf's dirty bit is known to be set.
        var payload: UInt64
        /// Who filled it: where a fresh walk has to start.
        public var requester: RequesterID

        /// The tag of the domain that translated it (VT-d: DID, 16 bits).
        public var cacheTag: UInt32 { UInt32(truncatingIfNeeded: key &>> 46) & 0xffff }
        /// The cached page's first address.
        public var iova: IOVA { IOVA(page: key & 0x3fff_ffff_ffff) }
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
        let empty = Entry(key: 0, payload: 0, requester: RequesterID(segment: 0, rid: 0))
        slots = ContiguousArray(repeating: empty, count: 1 << slotsLog2)
    }

    @inline(__always) private static func key(_ tag: UInt32, _ iova: IOVA) -> UInt64 {
        1 &<< 63 | UInt64(tag) &<< 46 | iova.page
    }

    @inline(__always) private func slot(_ tag: UInt32, _ iova: IOVA) -> Int {
        Int(truncatingIfNeeded: (iova.page &+ UInt64(tag) &* 977) & mask)
    }

    /// The cached translation of `iova`'s page, or `nil`. O(1), no allocation.
    ///
    /// An address with more bits than a key has is never cached: no input width reaches it.
    @inline(__always) public func lookup(tag: UInt32, iova: IOVA) -> Entry? {
        guard iova.page &>> 46 == 0 else { return nil }
        let entry = slots[slot(tag, iova)]
        return entry.key == Self.key(tag, iova) ? entry : nil
    }

    /// Caches the translation of `iova`'s page, displacing what shares its place.
    mutating func fill(
        tag: UInt32, iova: IOVA, pa: PhysicalAddress, protection: Protection, isDirty: Bool, requester: RequesterID
    ) {
        slots[slot(tag, iova)] = Entry(
            key: Self.key(tag, iova),
            payload: pa.pageBase.rawValue | UInt64(protection.rawValue) | (isDirty ? 4 : 0), requester: requester)
    }

    /// Forgets every page of `tag` that `range` touches; `nil`: all of the tag (VT-d 6.5.2.3: domain-selective).
    mutating func invalidate(tag: UInt32, range: IOVARange?) {
        if let range, range.last.page - range.first.page <= mask / 4 {
            for page in range.first.page...range.last.page {
                let iova = IOVA(page: page)
                let index = slot(tag, iova)
                if slots[index].key == Self.key(tag, iova) { slots[index].key = 0 }
            }
            return
        }
        for index in slots.indices where slots[index].key != 0 && slots[index].cacheTag == tag {
            let page = slots[index].iova.page
            if let range, page < range.first.page || page > range.last.page { continue }
            slots[index].key = 0
        }
    }

    mutating func invalidateAll() {
        for index in slots.indices { slots[index].key = 0 }
    }

    /// Every valid entry, sorted by cache tag, then IOVA.
    public var entries: [Entry] { slots.filter { $0.key != 0 }.sorted { $0.key < $1.key } }
}
