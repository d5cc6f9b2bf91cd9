/// What a unit counted since it was built. Only the counts are recorded of DMA; single accesses are not.
public struct DMACounters: Sendable, Hashable {
    /// Accesses that reached memory, pass-through included.
    public var translated: UInt64 = 0
    /// Of these, answered by the IOTLB alone.
    public var cacheHits: UInt64 = 0
    public var interrupts: UInt64 = 0
    public var faults: UInt64 = 0
    public var unknown: UInt64 = 0
}
