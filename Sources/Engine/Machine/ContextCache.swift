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
        /// See ``ContextCache/bits(_:_:)``; 0 when empty.
        var key: UInt64 = 0
        /// ``CacheSpace/bits``.
        var space: UInt64 = 0
        /// ``CacheSpace/salt`` of it.
        var salt: UInt64 = 0
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

    /// A requester and PASID in one number, never 0. A unit serves one segment, so that is no part of it.
    @inline(__always) private static func bits(_ rid: UInt16, _ pasid: PASID?) -> UInt64 {
        (pasid.map { (UInt64($0.rawValue) &+ 1) &<< 16 } ?? 0) | UInt64(rid) | 1 &<< 63
    }

    @inline(__always) private func slot(_ bits: UInt64) -> UnsafeMutablePointer<Slot> {
        slots + Int(truncatingIfNeeded: (bits &+ (bits &>> 16) &* 0x9e5) & mask)
    }

    /// The entry of `rid` and `pasid`, or `nil`.
    @inline(__always) func lookup(_ rid: UInt16, _ pasid: PASID?) -> UnsafeMutablePointer<Slot>? {
        let bits = Self.bits(rid, pasid)
        let slot = slot(bits)
        return slot.pointee.key == bits ? slot : nil
    }

    mutating func fill(_ entry: Entry) {
        let bits = Self.bits(entry.key.requester.rid, entry.key.pasid)
        slot(bits).pointee = Slot(
            key: bits, space: entry.space.bits, salt: entry.space.salt,
            passThrough: entry.passThrough.map { Slot.passes | $0.rawValue } ?? 0)
    }

    mutating func invalidate(_ key: AttachmentKey) { lookup(key.requester.rid, key.pasid)?.pointee.key = 0 }

    /// Forgets all of a device, whatever the PASID.
    mutating func invalidate(_ requester: RequesterID) {
        for index in all.indices where UInt16(truncatingIfNeeded: all[index].key) == requester.rid {
            all[index].key = 0
        }
    }

    mutating func invalidateAll() {
        for index in all.indices { all[index].key = 0 }
    }

    /// Every cached entry, sorted by requester and PASID.
    public var entries: [Entry] {
        all.filter { $0.key != 0 }.map { slot in
            let requester = RequesterID(segment: segment, rid: UInt16(truncatingIfNeeded: slot.key))
            let pasid = UInt32(truncatingIfNeeded: slot.key &>> 16 & 0x1f_ffff)
            return Entry(
                key: AttachmentKey(requester, pasid == 0 ? nil : PASID(pasid - 1)), space: CacheSpace(bits: slot.space),
                passThrough: slot.passThrough == 0 ? nil : Protection(rawValue: slot.passThrough & ~Slot.passes))
        }.sorted { $0.key < $1.key }
    }
}
