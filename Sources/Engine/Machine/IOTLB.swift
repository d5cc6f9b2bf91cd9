import IOMMUModel
import PageTables

/// The translation cache of one unit: direct-mapped, keyed by (tag and PASID, 4 KiB page).
///
/// What is cached stays until it is invalidated or displaced, whatever memory says by then: an engine that forgets an
/// invalidation is served the old translation, as by hardware. Non-present translations are not cached (CAP.CM = 0).
public struct IOTLB: ~Copyable {
    /// One cached translation of a 4 KiB page.
    public struct Entry: Sendable, Hashable {
        /// Number of the input page; more than there are when empty.
        @usableFromInline var page: UInt64 = .max
        /// ``CacheSpace/bits``; 0 when empty.
        @usableFromInline var spaceBits: UInt64 = 0
        /// Physical page in 63:12, ``Rights`` in 3:0.
        @usableFromInline var payload: UInt64 = 0
        /// ``RequestKey/bits`` of who filled it: where a fresh walk has to start.
        var source: UInt64 = 0

        /// The tag, and PASID where that is part of the key, of the domain that translated it.
        public var space: CacheSpace { CacheSpace(bits: spaceBits) }
        /// The cached page's first address.
        public var iova: IOVA { IOVA(page: page) }
        /// The page that it translates to, 4 KiB aligned.
        public var pa: PhysicalAddress { PhysicalAddress(payload & ~0xfff) }
        /// The rights of all entries on the way, ANDed.
        public var protection: Protection { Protection(rawValue: UInt8(truncatingIfNeeded: payload) & 3) }
    }

    /// What an access needs of an entry and what an entry allows, so that one AND compares them.
    @usableFromInline
    enum Rights {
        /// The leaf's dirty bit is known to be set: a write through one where it is not must walk, to set it.
        @inlinable static var dirty: UInt64 { 4 }
        /// Instructions may be fetched.
        @inlinable static var execute: UInt64 { 8 }

        /// What `translation` allows; `isDirty`: its leaf has its dirty bit.
        static func of(_ translation: Translation, isDirty: Bool) -> UInt64 {
            UInt64(translation.protection.rawValue) | (isDirty ? dirty : 0) | (translation.isExecutable ? execute : 0)
        }

        /// What `access` needs.
        @inlinable static func needs(_ access: Access) -> UInt64 {
            switch access {
            case .read: 1
            case .write: 2 | dirty
            case .execute: 1 | execute
            }
        }
    }

    /// How many pages it holds, a power of two.
    @inlinable static var slotCount: Int { 1 << 12 }

    @usableFromInline let slots: UnsafeMutablePointer<Entry>

    /// An empty cache.
    init() {
        slots = .allocate(capacity: Self.slotCount)
        slots.initialize(repeating: Entry(), count: Self.slotCount)
    }

    deinit { slots.deallocate() }

    private var all: UnsafeMutableBufferPointer<Entry> { .init(start: slots, count: Self.slotCount) }

    @inlinable func slot(_ page: UInt64, salt: UInt64) -> UnsafeMutablePointer<Entry> {
        slots + Int(truncatingIfNeeded: page &+ salt) & (Self.slotCount &- 1)
    }

    /// The cached translation of the page numbered `page` in the space of `bits`, whose ``CacheSpace/salt`` is `salt`
    /// (its low half suffices).
    @inlinable func lookup(_ bits: UInt64, salt: UInt64, page: UInt64) -> UnsafeMutablePointer<Entry>? {
        let slot = slot(page, salt: salt)
        return slot.pointee.page == page && slot.pointee.spaceBits == bits ? slot : nil
    }

    /// The cached translation of `iova`'s page, or `nil`. O(1).
    public func lookup(_ space: CacheSpace, iova: IOVA) -> Entry? {
        lookup(space.bits, salt: space.salt, page: iova.page)?.pointee
    }

    /// Caches the translation of `iova`'s page, displacing what shares its place. `rights` are ``Rights``.
    mutating func fill(_ space: CacheSpace, iova: IOVA, pa: PhysicalAddress, rights: UInt64, source: RequestKey) {
        slot(iova.page, salt: space.salt).pointee = Entry(
            page: iova.page, spaceBits: space.bits, payload: pa.pageBase.rawValue | rights, source: source.bits)
    }

    /// Forgets every page of `space` that `range` touches; `nil`: all of the space.
    mutating func invalidate(_ space: CacheSpace, range: IOVARange?) {
        if let range, range.last.page - range.first.page <= Self.slotCount / 4 {
            for page in range.first.page...range.last.page {
                lookup(space.bits, salt: space.salt, page: page)?.pointee = Entry()
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
        for index in all.indices where isWanted(all[index]) { all[index] = Entry() }
    }

    /// Every valid entry, sorted by space, then IOVA.
    public var entries: [Entry] {
        all.filter { $0.spaceBits != 0 }.sorted { ($0.spaceBits, $0.page) < ($1.spaceBits, $1.page) }
    }
}
