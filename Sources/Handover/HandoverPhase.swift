/// The stages of a handover in the order in which they run; each prints one line.
public enum HandoverPhase: String, Sendable, Hashable, CaseIterable {
    /// The machine is there: imported from an image, or built from a scenario.
    case start
    case preserve
    case freeze
    case seal
    /// No engine exists; devices go on with DMA.
    case jump
    case restore
    case audit
    case claim
    case adopt
    case rebuild
    case compare
    case replace
    case finish
}

/// A named place at which a run can be made to die, as if the host had lost its power there.
public enum CrashPoint: String, Sendable, Hashable, CaseIterable {
    /// Frozen, nothing of the seal written.
    case beforeSeal = "before-seal"
    /// Inside the seal's transaction, every record written, not committed.
    case inSeal = "in-seal"
    /// The seal is durable and the nonce is in memory.
    case afterSeal = "after-seal"
    /// At least one device is restored, not all (with one device: it is restored, not yet recorded).
    case inRestore = "in-restore"
    /// Every device is restored and audited, none claimed.
    case afterRestore = "after-restore"
    /// The first device has been replaced, not all (with one device: its replace is not yet recorded).
    case inReplace = "in-replace"
}

/// What a run does at a crash point; the default is to go on.
public typealias CrashHook = (CrashPoint) -> Void
