/// What a unit counted since it was built. Only the counts are recorded of DMA; single accesses are not.
public struct DMACounters: Sendable, Hashable {
    /// Accesses that reached memory, pass-through included.
    public var translated: UInt64 = 0
    /// Of these, answered by the IOTLB alone.
    public var cacheHits: UInt64 = 0
    /// Accesses to the interrupt window (VT-d 3.14).
    public var interrupts: UInt64 = 0
    /// Accesses refused, those included that leave no fault record (TTM abort-DMA, FPD).
    public var faults: UInt64 = 0
    /// Accesses whose walk needs a page that the machine's memory does not hold.
    public var unknown: UInt64 = 0
}
