/// The seal that a restore insists on, `GEN:ROOT`: a file that silently went back in time does not match.
public struct ExpectedSeal: Sendable, Hashable, CustomStringConvertible {
    /// From 1.
    public var generation: UInt64
    /// The seal's root digest.
    public var root: RootDigest

    /// Both as given; nothing is checked.
    public init(generation: UInt64, root: RootDigest) {
        self.generation = generation
        self.root = root
    }

    /// Reads a decimal generation from 1, a colon and 16 hex digits.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let generation = UInt64(parts[0]),
            generation > 0, let root = RootDigest(parts[1])
        else { return nil }
        self.init(generation: generation, root: root)
    }

    /// `GEN:ROOT`, decimal and 16 hex digits.
    public var description: String { "\(generation):\(root)" }

    /// True when `seal` is the one that was asked for.
    public func matches(_ seal: SealRecord) -> Bool { seal.generation == generation && seal.root == root }
}
