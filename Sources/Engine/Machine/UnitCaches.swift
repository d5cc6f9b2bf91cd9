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
    /// Without the hits in ``DMACounters/translated``.
    var counters = DMACounters()

    init(isTranslating: Bool, hostAddressWidth: Int, segment: UInt32) {
        self.isTranslating = isTranslating
        beyondHostWidth = ~0 << UInt64(hostAddressWidth)
        contexts = ContextCache(segment: segment)
    }

    /// The answer of context cache and IOTLB; `nil` when they do not hold it: never for the interrupt window. No call, no allocation, no reference counted.
    @inline(__always)
    mutating func hit(_ key: RequestKey, iova: IOVA, access: Access) -> PhysicalAddress? {
        let needs = IOTLB.Rights.needs(access)
        guard isTranslating, let context = contexts.lookup(key),
            let entry = iotlb.lookup(context.pointee.lookupSpace, salt: UInt64(context.pointee.salt), page: iova.page),
            entry.pointee.payload & needs == needs
        else { return nil }
        counters.cacheHits &+= 1
        return PhysicalAddress(entry.pointee.payload & ~0xfff | iova.pageOffset)
    }

    /// The answer of the context cache to a request whose address passes unchanged; `nil` when it does not hold it, or the
    /// unit has to refuse.
    func pass(_ key: RequestKey, iova: IOVA, access: Access) -> PhysicalAddress? {
        guard isTranslating, !IOMMUHardware.isInInterruptWindow(iova), let context = contexts.lookup(key),
            context.pointee.passThrough != 0,
            Protection(rawValue: context.pointee.passThrough).contains(access.needs),
            iova.rawValue & beyondHostWidth == 0
        else { return nil }
        return PhysicalAddress(iova.rawValue)
    }
}
