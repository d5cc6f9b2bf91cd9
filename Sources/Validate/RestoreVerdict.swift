import IOMMUModel

/// What a restore came to (Schema/FORMAT.md, Nonce).
public enum RestoreVerdict: String, Sendable, Hashable, CaseIterable {
    /// Every preserved device has its domain again.
    case restored
    /// As `restored`, but at least one device was quarantined.
    case degraded
    /// Built from the record alone, without the memory: offline analysis, never the outcome of a handover.
    case reconstructed
    /// Nothing was handed over, or the memory is gone: an ordinary boot.
    case coldBoot = "cold-boot"
    /// Devices may still write into memory whose record cannot be trusted: the machine halts before any allocation.
    case stop
    /// As `stop`, but every unit was made to refuse all DMA: nothing is restored, and memory can be allocated.
    case quarantined

    /// What the kernel's restore path answers with; `nil` when it goes on.
    public var errno: Errno? {
        switch self {
        case .restored, .degraded, .reconstructed: nil
        case .coldBoot: .ENOENT
        case .stop, .quarantined: .EINVAL
        }
    }

    /// True for the verdicts of exit code 0.
    public var isSuccess: Bool { self == .restored || self == .reconstructed }
}
