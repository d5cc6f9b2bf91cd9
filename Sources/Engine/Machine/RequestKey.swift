import IOMMUModel

/// A requester and a PASID, or none, in one number. A unit serves one segment, so that is no part of it.
struct RequestKey {
    /// Requester id in 15:0, PASID in 35:16, bit 62 set when there is one, bit 63 always; so never 0.
    let bits: UInt64

    init(bits: UInt64) { self.bits = bits }

    @inline(__always)
    init(_ rid: UInt16, _ pasid: PASID?) {
        let untagged = 1 &<< 63 | UInt64(rid)
        guard let pasid else {
            bits = untagged
            return
        }
        bits = untagged | 1 &<< 62 | UInt64(pasid.rawValue) &<< 16
    }

    init(_ key: AttachmentKey) { self.init(key.requester.rid, key.pasid) }

    var rid: UInt16 { UInt16(truncatingIfNeeded: bits) }

    /// A place in a cache: requesters one after the other, the PASIDs of each apart.
    @inline(__always)
    var place: UInt64 { bits &+ (bits &>> 16) &* 0x9e5 }

    func attachmentKey(segment: UInt32) -> AttachmentKey {
        let pasid = bits &>> 62 & 1 == 0 ? nil : PASID(UInt32(truncatingIfNeeded: bits &>> 16) & PASID.maximum)
        return AttachmentKey(RequesterID(segment: segment, rid: rid), pasid)
    }
}
