/// The stages of a handover in the order in which they run; each prints one line.
public enum HandoverPhase: String, Sendable, Hashable, CaseIterable {
    /// The machine is there: imported from an image, or built from a scenario.
    case start
    /// Devices join the session, with all that they go through (D2).
    case preserve
    /// What there is is written while devices run (and, in a scenario, what its steps asked for before).
    case preCopy = "pre-copy"
    /// Everything immutable; what is not carried is cleared (D3).
    case freeze
    /// The record is durable, the nonce in memory.
    case seal
    /// No engine exists; devices go on with DMA.
    case jump
    /// The new kernel attaches the domains that are there already (D4 to D6).
    case restore
    /// The record against the tables.
    case audit
    /// VFIO takes DMA ownership through the session (D7).
    case claim
    /// iommufd has an object for each inherited domain (D8).
    case adopt
    /// Userspace builds new address spaces and tables (D9).
    case rebuild
    /// Inherited against new tables (D9 to D10).
    case compare
    /// Every device is switched to the new tables (D11).
    case replace
    /// The sessions end (D12).
    case finish
}

/// A named place at which a run can be made to die, as if the host had lost its power there.
public enum CrashPoint: String, Sendable, Hashable, CaseIterable {
    /// Inside the transaction of the pass that pre-copies, every record written, not committed.
    case inPreCopy = "in-pre-copy"
    /// Frozen, nothing of the seal written.
    case beforeSeal = "before-seal"
    /// Inside the seal's transaction, every record written, not committed.
    case inSeal = "in-seal"
    /// The seal is durable, its file released; what vouches for it is not written, and the nonce is not in memory.
    case beforeNonce = "before-nonce"
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
