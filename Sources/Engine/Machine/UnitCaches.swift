import Hardware
import IOMMUModel

/// What a unit answers an access from without reading memory, and what it counts.
///
/// Lies at an address that does not move, so that an access finds it from its requester id without counting references.
@usableFromInline
struct UnitCaches: ~Copyable {
    /// Bits of an address that the unit does not pass through unchanged.
    let beyondHostWidth: UInt64
    var contexts: ContextCache
    @usableFromInline var iotlb = IOTLB()
    /// Without the hits in ``DMACounters/translated``.
    @usableFromInline var counters = DMACounters()

    init(isTranslating: Bool, hostAddressWidth: Int, segment: UInt32) {
        beyondHostWidth = ~0 << UInt64(hostAddressWidth)
        contexts = ContextCache(segment: segment, isTranslating: isTranslating)
    }

    /// The answer of the IOTLB under a space that the context cache gave, with its salt; `nil` when it has none. No call, no
    /// allocation, no reference counted.
    @inlinable
    mutating func hit(_ lookupSpace: UInt64, salt: UInt64, iova: IOVA, access: Access) -> PhysicalAddress? {
        let needs = IOTLB.Rights.needs(access)
        guard let entry = iotlb.lookup(lookupSpace, salt: salt, page: iova.page), entry.pointee.payload & needs == needs
        else { return nil }
        counters.cacheHits &+= 1
        return PhysicalAddress(entry.pointee.payload & ~0xfff | iova.pageOffset)
    }

    /// The answer of context cache and IOTLB; `nil` when they do not hold it: never for the interrupt window.
    @inline(__always)
    mutating func hit(_ key: RequestKey, iova: IOVA, access: Access) -> PhysicalAddress? {
        guard contexts.isTranslating, let context = contexts.lookup(key) else { return nil }
        return hit(context.pointee.lookupSpace, salt: UInt64(context.pointee.salt), iova: iova, access: access)
    }

    /// The answer of the context cache to a request whose address passes unchanged; `nil` when it does not hold it, or the
    /// unit has to refuse.
    func pass(_ key: RequestKey, iova: IOVA, access: Access) -> PhysicalAddress? {
        guard contexts.isTranslating, !IOMMUHardware.isInInterruptWindow(iova), let context = contexts.lookup(key),
            context.pointee.passThrough != 0,
            Protection(rawValue: context.pointee.passThrough).contains(access.needs),
            iova.rawValue & beyondHostWidth == 0
        else { return nil }
        return PhysicalAddress(iova.rawValue)
    }
}
