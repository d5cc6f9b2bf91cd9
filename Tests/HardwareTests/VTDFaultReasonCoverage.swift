@testable import Hardware

/// Which test produces which reason; what none can is said here.
enum VTDFaultReasonCoverage {
    /// By `VTDUnitTests`.
    static let legacy: Set<VTDFaultReason> = [
        .rootNotPresent, .contextNotPresent, .contextInvalid, .addressBeyondWidth, .writePermission, .readPermission,
        .rootReserved, .contextReserved, .pagingEntryReserved, .interruptOutput, .rootTableAddressInvalid,
        .pasidInLegacyMode,
    ]
    /// By `VTDScalableLookupTests`.
    static let scalableLookup: Set<VTDFaultReason> = [
        .scalableRootNotPresent, .scalableRootReserved, .scalableContextNotPresent, .scalableContextReserved,
        .scalableContextInvalid, .pasidNotEnabled, .pasidBeyondDirectory, .pasidIsRIDPASID, .pasidDirectoryNotPresent,
        .pasidDirectoryReserved, .pasidNotPresent, .pasidReserved, .pasidInvalid, .supervisorNotEnabled,
        .pasidBeyondSize,
    ]
    /// By `VTDScalableWalkTests`.
    static let scalableWalk: Set<VTDFaultReason> = [
        .firstStageNotPresent, .firstStageReserved, .guestAddressBeyondWidth, .firstStageRootNotReadable,
        .firstStageNotReadable, .firstStageNotWritable, .secondStageNotPresent, .secondStageReserved, .nonCanonical,
        .supervisorPage, .executePermission, .addressBeyondHostWidth, .addressBeyondSecondStage,
        .scalableWritePermission, .scalableReadPermission, .scalableInterruptOutput,
    ]
    /// They need hardware that cannot read its memory (here: unknown), walks that do not snoop, translation requests,
    /// or are told by `aborted` instead.
    static let notModelled: Set<VTDFaultReason> = [
        .pagingEntryUnreachable, .rootTableUnreachable, .contextTableUnreachable, .blockedByTranslationType,
        .dmaAborted, .scalableRootTableUnreachable, .scalableContextTableUnreachable, .pasidDirectoryUnreachable,
        .pasidTableUnreachable, .firstStageUnreachable, .firstStageRootUnreachable, .secondStageUnreachable,
        .secondStageRootUnreachable, .secondStageMarkWithoutSnoop, .firstStageMarkWithoutSnoop,
    ]
}
