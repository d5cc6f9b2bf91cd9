import IOMMUModel

/// Memory that areas are backed by.
public struct Backing: Sendable, Hashable {
    /// What the memory is.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// Host physical memory itself: an area's offset is the physical address.
        case physical
        /// A memory file, contiguous in physical memory.
        case memfd
    }

    /// Unique in the engine, never used again.
    public let id: BackingID
    /// What the memory is.
    public let kind: Kind
    /// Where offset 0 lies; 0 for ``Kind/physical``.
    public let base: PhysicalAddress
    /// Size in bytes; 0 for ``Kind/physical``, which has no end of its own.
    public let byteCount: UInt64
    /// File seals are set (SEAL, GROW, SHRINK).
    public internal(set) var isSealed: Bool
    /// The session that the file itself is preserved in: its areas can be handed over in that one only. `nil`: it goes with
    /// the devices that reach it.
    public internal(set) var session: SessionID?
    /// What is said about the file was assumed, not observed.
    public let isAssumed: Bool

    /// True when areas on it may be handed over: a file with its seals set, or memory of which that is assumed (an
    /// imported machine's).
    var isPreservable: Bool { isSealed || isAssumed }

    /// The physical address of `offset`, when `bytes` bytes from there on lie in the backing.
    public func address(offset: UInt64, bytes: UInt64) -> PhysicalAddress? {
        let (end, overflow) = offset.addingReportingOverflow(bytes)
        guard !overflow, kind == .physical || end <= byteCount else { return nil }
        return base.offset(by: offset)
    }
}
