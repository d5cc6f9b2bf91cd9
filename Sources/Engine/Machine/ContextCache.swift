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

    private let segment: UInt32
    private let slots: UnsafeMutablePointer<Slot>
    private let mask: UInt64

    /// A cache of `2^slotsLog2` contexts of requesters on `segment`.
    init(segment: UInt32, slotsLog2: Int = 10) {
        self.segment = segment
        mask = (1 << UInt64(slotsLog2)) - 1
        slots = .allocate(capacity: 1 << slotsLog2)
        slots.initialize(repeating: Slot(), count: 1 << slotsLog2)
    }

    deinit { slots.deallocate() }

    private var all: UnsafeMutableBufferPointer<Slot> { .init(start: slots, count: Int(mask) + 1) }

    @inline(__always) private func slot(_ key: RequestKey) -> UnsafeMutablePointer<Slot> {
        slots + Int(truncatingIfNeeded: key.place & mask)
    }

    /// The entry of `key`, or `nil`.
    @inline(__always) func lookup(_ key: RequestKey) -> UnsafeMutablePointer<Slot>? {
        let slot = slot(key)
        return slot.pointee.key == key.bits ? slot : nil
    }

    mutating func fill(_ entry: Entry) {
        let key = RequestKey(entry.key)
        slot(key).pointee = Slot(
            key: key.bits, lookupSpace: entry.passThrough == nil ? entry.space.bits : 0, space: entry.space.bits,
            salt: UInt32(truncatingIfNeeded: entry.space.salt),
            passThrough: entry.passThrough.map { Slot.passes | $0.rawValue } ?? 0)
    }

    mutating func invalidate(_ key: AttachmentKey) { lookup(RequestKey(key))?.pointee.key = 0 }

    /// Forgets all of a device, whatever the PASID.
    mutating func invalidate(_ requester: RequesterID) {
        for index in all.indices where all[index].key != 0 && RequestKey.rid(all[index].key) == requester.rid {
            all[index].key = 0
        }
    }

    mutating func invalidateAll() {
        for index in all.indices { all[index].key = 0 }
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
