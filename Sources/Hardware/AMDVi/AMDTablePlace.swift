import IOMMUModel

/// Where a GCR3 table's pages are, as the unit finds them.
enum AMDTablePlace {
    /// A page of the host's memory, with its words.
    case page(PhysicalAddress, UnsafeMutablePointer<UInt64>)
    /// The host's tables refuse the way to it.
    case fault(HardwareFault)
    /// A page that is not in memory: the table's own, or one of the host's tables on the way.
    case absent(page: PhysicalAddress)
}
