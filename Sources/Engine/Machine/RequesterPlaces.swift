import Glibc

/// What the accesses of the requester ids of one segment need to know, found by the id alone.
///
/// One array of all 65,536, of which the host gives only the pages that hold a device. It lives as long as the last who
/// writes to it: the machine and the context caches of the segment's units.
@usableFromInline
final class RequesterPlaces {
    /// One requester id. Of 32 bytes: multiples of a power of two are found fastest.
    @usableFromInline
    struct Place: BitwiseCopyable {
        /// The caches of the unit that its accesses go through; `nil`: it puts none on the bus.
        @usableFromInline var caches: UnsafeMutablePointer<UnitCaches>?
        /// What the IOTLB is asked for by accesses without a PASID: ``ContextCache/Slot/lookupSpace`` of the context that the
        /// context cache of a translating unit holds, otherwise 0, which the IOTLB holds nothing under. A repetition, which
        /// spares an access the lookup: only the context cache writes it.
        @usableFromInline var lookupSpace: UInt64
        /// The low half of that space's ``CacheSpace/salt``.
        @usableFromInline var salt: UInt64
        /// One more than the device's index; 0: there is no device.
        var number: Int
    }

    /// The PCI segment.
    let segment: UInt32
    /// One for each requester id.
    let base: UnsafeMutablePointer<Place>

    /// Without a device.
    init(segment: UInt32) {
        self.segment = segment
        guard let memory = calloc(1 << 16, MemoryLayout<Place>.stride) else {
            preconditionFailure("out of host memory")
        }
        base = memory.bindMemory(to: Place.self, capacity: 1 << 16)
    }

    deinit { free(base) }

    subscript(rid: UInt16) -> Place {
        get { base[Int(rid)] }
        _modify { yield &base[Int(rid)] }
    }
}
