/// What a seal answers to the one who asked for it: enough to recognise this very state again.
public struct SealReceipt: Sendable, Hashable {
    /// From 1.
    public var generation: UInt64
    /// `nil` for a generation that nothing was handed over with (an import).
    public var nonce: HandoverNonce?
    /// Digest over the manifest and what the seal states.
    public var root: RootDigest

    /// The form that `restore --expect-seal` takes.
    public var expected: ExpectedSeal { ExpectedSeal(generation: generation, root: root) }
}

/// The seal row as read.
public struct SealRecord: Sendable, Hashable {
    /// The generation sealed, which is that of the file.
    public var generation: UInt64
    /// `nil`: nothing was handed over.
    public var nonce: HandoverNonce?
    /// As stored; whether it is right is for ``GenerationReader/defects()``.
    public var root: RootDigest
    /// Tables in the manifest.
    public var tableCount: UInt32
    /// Rows in all of them.
    public var rowCount: UInt64
    /// Engine time of the newest event; 0 without events.
    public var timeNanoseconds: UInt64

    /// What was answered when the seal was made.
    public var receipt: SealReceipt { SealReceipt(generation: generation, nonce: nonce, root: root) }
}
