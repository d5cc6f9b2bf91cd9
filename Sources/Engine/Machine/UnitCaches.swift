import Hardware
import IOMMUModel

/// What a unit answers an access from without reading memory, and what it counts.
///
/// Lies at an address that does not move, so that an access finds it from its requester id without counting references.
struct UnitCaches: ~Copyable {
    /// ``Hardware/IOMMUHardware/translationEnabled``.
    var isTranslating: Bool
    /// Bits of an address that the unit does not pass through unchanged.
    let beyondHostWidth: UInt64
    var contexts: ContextCache
    var iotlb = IOTLB()
    var counters = DMACounters()

    init(isTranslating: Bool, hostAddressWidth: Int, segment: UInt32) {
        self.isTranslating = isTranslating
        beyondHostWidth = ~0 << UInt64(hostAddressWidth)
        contexts = ContextCache(segment: segment)
    }

    /// The answer of the caches alone; `nil` when the unit has to read memory, or to refuse: it decides then from the
    /// root register on. No call, no allocation, no reference counted.
    @inline(__always)
    mutating func serve(_ rid: UInt16, _ pasid: PASID?, iova: IOVA, access: Access) -> PhysicalAddress? {
        guard isTranslating, !IOMMUHardware.isInInterruptWindow(iova), let context = contexts.lookup(rid, pasid) else {
            return nil
        }
        if context.pointee.passThrough != 0 {
            guard Protection(rawValue: context.pointee.passThrough).contains(access.needs),
                iova.rawValue & beyondHostWidth == 0
            else { return nil }
            counters.translated &+= 1
            return PhysicalAddress(iova.rawValue)
        }
        let needs = IOTLB.Rights.needs(access)
        guard let entry = iotlb.lookup(context.pointee.space, salt: context.pointee.salt, page: iova.page),
            entry.pointee.payload & needs == needs
        else { return nil }
        counters.translated &+= 1
        counters.cacheHits &+= 1
        return PhysicalAddress(entry.pointee.payload & ~0xfff | iova.pageOffset)
    }
}
