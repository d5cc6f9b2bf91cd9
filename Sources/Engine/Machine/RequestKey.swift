import IOMMUModel

/// A requester and a PASID, or none, in one number. A unit serves one segment, so that is no part of it.
struct RequestKey {
    /// One more than the requester id in 16:0; with a PASID that in 51:32 and bit 63 set. Never 0.
    let bits: UInt64
    /// A place in a cache: requesters one after the other, the PASIDs of each apart.
    let place: UInt64

    /// Without a PASID.
    @inline(__always)
    init(_ rid: UInt16) {
        bits = UInt64(rid) &+ 1
        place = UInt64(rid)
    }

    @inline(__always)
    init(_ rid: UInt16, _ pasid: PASID) {
        bits = 1 &<< 63 | UInt64(pasid.rawValue) &<< 32 | UInt64(rid) &+ 1
        place = UInt64(rid) &+ (UInt64(pasid.rawValue) &+ 1) &* 0x9e5
    }

    init(_ key: AttachmentKey) {
        self = key.pasid.map { RequestKey(key.requester.rid, $0) } ?? RequestKey(key.requester.rid)
    }

    /// The requester id in ``bits``, which are not 0.
    static func rid(_ bits: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: bits &- 1) }

    /// Whether ``bits`` are those of requests with a PASID.
    static func hasPASID(_ bits: UInt64) -> Bool { bits &>> 63 != 0 }

    /// Whose ``bits`` these are, on `segment`.
    static func attachmentKey(_ bits: UInt64, segment: UInt32) -> AttachmentKey {
        let pasid = !hasPASID(bits) ? nil : PASID(UInt32(truncatingIfNeeded: bits &>> 32) & PASID.maximum)
        return AttachmentKey(RequesterID(segment: segment, rid: rid(bits)), pasid)
    }
}
