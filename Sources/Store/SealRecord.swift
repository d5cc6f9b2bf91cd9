/// What a seal answers to the one who asked for it: enough to recognise this very state again.
public struct SealReceipt: Sendable, Hashable {
    public var generation: UInt64
    /// `nil` for a generation that nothing was handed over with (an import).
    public var nonce: HandoverNonce?
    public var root: RootDigest

    /// The form that `restore --expect-seal` takes.
    public var expected: ExpectedSeal { ExpectedSeal(generation: generation, root: root) }
}

/// The seal row as read.
public struct SealRecord: Sendable, Hashable {
    public var generation: UInt64
    /// `nil`: nothing was handed over.
    public var nonce: HandoverNonce?
    public var root: RootDigest
    /// Tables in the manifest.
    public var tableCount: UInt32
    /// Rows in all of them.
    public var rowCount: UInt64
    /// Engine time of the newest event; 0 without events.
    public var timeNanoseconds: UInt64

    public var receipt: SealReceipt { SealReceipt(generation: generation, nonce: nonce, root: root) }
}
