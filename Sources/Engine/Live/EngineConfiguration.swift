import IOMMUModel

/// What an engine is started with; the same configuration and the same operations give the same bytes.
public struct EngineConfiguration: Sendable, Hashable {
    /// What a device that nobody claimed is attached to.
    public enum DefaultDomain: String, Sendable, Hashable, CaseIterable {
        /// Passes through, as Linux's `iommu=pt`.
        case identity
        /// Refuses every access.
        case blocked
    }
    /// Where a device without owner begins. A group that must not be blocked passes through whatever this says.
    public var defaultDomain: DefaultDomain
    /// Seed of the engine's random numbers.
    public var seed: UInt64
    /// Engine time of the start.
    public var startNanoseconds: UInt64
    /// Events already in the journal that this engine goes on with.
    public var lastSequence: UInt64
    /// A bug to plant; `nil`: none.
    package var defect: EngineDefect?

    /// All as given; nothing is checked.
    public init(
        defaultDomain: DefaultDomain = .blocked, seed: UInt64 = 1, startNanoseconds: UInt64 = 0,
        lastSequence: UInt64 = 0
    ) {
        self.defaultDomain = defaultDomain
        self.seed = seed
        self.startNanoseconds = startNanoseconds
        self.lastSequence = lastSequence
    }
}
