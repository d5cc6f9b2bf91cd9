import IOMMUModel

/// The context cache of one unit (with VT-d's PASID cache, AMD's device table cache): which space and which way the
/// requests of one requester and PASID go, as last read from memory. Direct-mapped.
///
/// As the IOTLB it serves what it holds until it is invalidated (VT-d 6.2.2). Only usable entries are cached.
public struct ContextCache: ~Copyable {
    /// What the lookup structures said when they were read.
    public struct Entry: Sendable, Hashable {
        /// Whose requests they are.
        public var key: AttachmentKey
        /// What their translations are cached under.
        public var space: CacheSpace
        /// What a request may do whose address passes unchanged; `nil`: through tables.
        public var passThrough: Protection?
    }

    /// An entry as it is kept.
    struct Slot {
        /// ``RequestKey/bits``; 0 when empty.
        var key: UInt64 = 0
        /// What the IOTLB is asked for: ``CacheSpace/bits``; 0, which it holds nothing under, for pass-through.
        var lookupSpace: UInt64 = 0
        var space: UInt64 = 0
        /// The low half of ``CacheSpace/salt``, which suffices.
        var salt: UInt32 = 0
        /// 0: through tables. Otherwise bit 7 and the rights of pass-through.
        var passThrough: UInt8 = 0

        static let passes: UInt8 = 0x80
    }

    /// How many contexts it holds, a power of two.
    private static var slotCount: Int { 1 << 10 }

    private let segment: UInt32
    private let slots: UnsafeMutablePointer<Slot>
    /// ``Hardware/IOMMUHardware/translationEnabled`` of the unit: what the cache holds counts for nothing without it.
    var isTranslating: Bool {
        didSet {
            guard isTranslating != oldValue else { return }
            for index in all.indices { publish(slots + index) }
        }
    }
    /// Where accesses without a PASID look instead of here.
    var places: RequesterPlaces?

    /// An empty cache for requesters on `segment`.
    init(segment: UInt32, isTranslating: Bool) {
        self.segment = segment
        self.isTranslating = isTranslating
        slots = .allocate(capacity: Self.slotCount)
        slots.initialize(repeating: Slot(), count: Self.slotCount)
    }

    deinit { slots.deallocate() }

    private var all: UnsafeMutableBufferPointer<Slot> { .init(start: slots, count: Self.slotCount) }

    @inline(__always) private func slot(_ key: RequestKey) -> UnsafeMutablePointer<Slot> {
        slots + Int(truncatingIfNeeded: key.place) & (Self.slotCount &- 1)
    }

    /// The entry of `key`, or `nil`.
    @inline(__always) func lookup(_ key: RequestKey) -> UnsafeMutablePointer<Slot>? {
        let slot = slot(key)
        return slot.pointee.key == key.bits ? slot : nil
    }

    mutating func fill(_ entry: Entry) {
        let key = RequestKey(entry.key)
        let slot = slot(key)
        forget(slot)
        slot.pointee = Slot(
            key: key.bits, lookupSpace: entry.passThrough == nil ? entry.space.bits : 0, space: entry.space.bits,
            salt: UInt32(truncatingIfNeeded: entry.space.salt),
            passThrough: entry.passThrough.map { Slot.passes | $0.rawValue } ?? 0)
        publish(slot)
    }

    /// Says in ``places`` what `slot` holds.
    private func publish(_ slot: UnsafeMutablePointer<Slot>) {
        guard let places, slot.pointee.key != 0, !RequestKey.hasPASID(slot.pointee.key) else { return }
        let rid = RequestKey.rid(slot.pointee.key)
        places[rid].lookupSpace = isTranslating ? slot.pointee.lookupSpace : 0
        places[rid].salt = UInt64(slot.pointee.salt)
    }

    private func forget(_ slot: UnsafeMutablePointer<Slot>) {
        slot.pointee.lookupSpace = 0
        publish(slot)
        slot.pointee.key = 0
    }

    mutating func invalidate(_ key: AttachmentKey) {
        if let slot = lookup(RequestKey(key)) { forget(slot) }
    }

    /// Forgets all of a device, whatever the PASID.
    mutating func invalidate(_ requester: RequesterID) {
        for index in all.indices where all[index].key != 0 && RequestKey.rid(all[index].key) == requester.rid {
            forget(slots + index)
        }
    }

    mutating func invalidateAll() {
        for index in all.indices { forget(slots + index) }
    }

    /// Every cached entry, sorted by requester and PASID.
    public var entries: [Entry] {
        all.filter { $0.key != 0 }.map { slot in
            Entry(
                key: RequestKey.attachmentKey(slot.key, segment: segment), space: CacheSpace(bits: slot.space),
                passThrough: slot.passThrough == 0 ? nil : Protection(rawValue: slot.passThrough & ~Slot.passes))
        }.sorted { $0.key < $1.key }
    }
}
