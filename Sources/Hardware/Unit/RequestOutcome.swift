import IOMMUModel
import PageTables

/// What became of one request.
public enum RequestOutcome: Sendable, Hashable {
    /// Through tables. `pageSizeLog2` is that of the translation as a cache may hold it: the smaller of the two stages'.
    case translated(Translation, context: RequestContext)
    /// The address passed unchanged; `context` is `nil` when translation is off, or the device has no entry that says
    /// otherwise (AMD: V = 0).
    case untranslated(PhysicalAddress, context: RequestContext?)
    /// A request to the interrupt address range.
    case interrupt
    /// Refused, with the reason and the entry at fault.
    case fault(HardwareFault)
    /// Refused without a fault record (VT-d: RTADDR.TTM is abort-DMA).
    case aborted
    /// A lookup or table page that the walk needs is not in memory: unknown, not a fault.
    case unknown(page: PhysicalAddress)

    /// The physical address the request reaches, or `nil`.
    public var address: PhysicalAddress? {
        switch self {
        case .translated(let translation, _): translation.pa
        case .untranslated(let address, _): address
        case .interrupt, .fault, .aborted, .unknown: nil
        }
    }
}
