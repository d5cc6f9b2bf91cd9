/// Why a request was refused: the Fault Reason field of a fault record (VT-d 7.1.3, the table of fault conditions), as
/// far as untranslated requests can meet it. Legacy mode has codes 1h to Eh, scalable mode those from 38h on.
public enum VTDFaultReason: UInt8, Error, Sendable, Hashable, CaseIterable {
    /// LRT.2: the P field of the root entry is 0.
    case rootNotPresent = 0x01
    /// LCT.2: the P field of the context entry is 0.
    case contextNotPresent = 0x02
    /// LCT.4: invalid programming of the context entry: its AW is not in CAP.SAGAW, or its TT is reserved or not
    /// supported.
    case contextInvalid = 0x03
    /// LGN.1: the address is at or above 2^X, X the smaller of the domain's width and CAP.MGAW, or the host address
    /// width when it passes through.
    case addressBeyondWidth = 0x04
    /// LGN.2: a write without write permission.
    case writePermission = 0x05
    /// LGN.3: a read without read permission.
    case readPermission = 0x06
    /// LSS.1: a paging entry could not be read through the address in the entry above it.
    case pagingEntryUnreachable = 0x07
    /// LRT.1: the root entry could not be read through RTADDR.
    case rootTableUnreachable = 0x08
    /// LCT.1: the context entry could not be read through the root entry's CTP.
    case contextTableUnreachable = 0x09
    /// LRT.3: a reserved bit is set in a present root entry.
    case rootReserved = 0x0a
    /// LCT.3: a reserved bit is set in a present context entry.
    case contextReserved = 0x0b
    /// LSS.2: a reserved bit is set in a paging entry with R or W.
    case pagingEntryReserved = 0x0c
    /// LCT.5: a translation or translated request, blocked by the TT field of the context entry.
    case blockedByTranslationType = 0x0d
    /// LGN.4: the address after translation lies in the interrupt address range.
    case interruptOutput = 0x0e
    /// RTA.1: RTADDR.TTM is reserved or not supported.
    case rootTableAddressInvalid = 0x30
    /// RTA.2: a request with a PASID while RTADDR.TTM is 0 (legacy).
    case pasidInLegacyMode = 0x31
    /// RTA.4: RTADDR.TTM is 3 (abort-DMA).
    case dmaAborted = 0x33

    /// SRT.1: the root entry could not be read through RTADDR.
    case scalableRootTableUnreachable = 0x38
    /// SRT.2: LP or UP of the root entry is 0.
    case scalableRootNotPresent = 0x39
    /// SRT.3: a reserved bit is set in a present half of the root entry.
    case scalableRootReserved = 0x3a
    /// SCT.1: the context entry could not be read through the root entry's LCTP or UCTP.
    case scalableContextTableUnreachable = 0x40
    /// SCT.2: the P field of the context entry is 0.
    case scalableContextNotPresent = 0x41
    /// SCT.3: a reserved bit is set in a present context entry.
    case scalableContextReserved = 0x42
    /// SCT.4: invalid programming of the context entry: PRE without DTE, or a RID_PASID beyond the directory.
    case scalableContextInvalid = 0x43
    /// SCT.6: a request with a PASID while PASIDE is 0.
    case pasidNotEnabled = 0x45
    /// SCT.7: a request's PASID is beyond the directory (PDTS).
    case pasidBeyondDirectory = 0x46
    /// SCT.9: a request's PASID is the one of untagged requests (RID_PASID).
    case pasidIsRIDPASID = 0x48
    /// SPD.1: the PASID directory entry could not be read.
    case pasidDirectoryUnreachable = 0x50
    /// SPD.2: the P field of the PASID directory entry is 0.
    case pasidDirectoryNotPresent = 0x51
    /// SPD.3: a reserved bit is set in a present PASID directory entry.
    case pasidDirectoryReserved = 0x52
    /// SPT.1: the PASID-table entry could not be read.
    case pasidTableUnreachable = 0x58
    /// SPT.2: the P field of the PASID-table entry is 0.
    case pasidNotPresent = 0x59
    /// SPT.3: a reserved bit is set in a present PASID-table entry.
    case pasidReserved = 0x5a
    /// SPT.4: invalid programming of the PASID-table entry: PGTT, AW or FSPM, or a guest's root beyond its width.
    case pasidInvalid = 0x5b
    /// SPT.6: a privileged request while SRE is 0.
    case supervisorNotEnabled = 0x5d

    /// SFS.1: a first-stage entry could not be read through the entry above it.
    case firstStageUnreachable = 0x70
    /// SFS.2: the P field of a first-stage entry is 0.
    case firstStageNotPresent = 0x71
    /// SFS.3: a reserved bit is set in a present first-stage entry.
    case firstStageReserved = 0x72
    /// SFS.4: the first-stage root could not be read through FSPTPTR.
    case firstStageRootUnreachable = 0x73
    /// SFS.5: a guest address in a first-stage entry is beyond the guest's width.
    case guestAddressBeyondWidth = 0x74
    /// SFS.6: the second stage does not allow to read the first-stage root.
    case firstStageRootNotReadable = 0x75
    /// SFS.7: the second stage does not allow to read a first-stage table below the root.
    case firstStageNotReadable = 0x76
    /// SFS.8: the second stage does not allow to set accessed and dirty bits of a first-stage entry.
    case firstStageNotWritable = 0x77
    /// SSS.1: a second-stage entry could not be read through the entry above it.
    case secondStageUnreachable = 0x78
    /// SSS.2: R and W are 0 in a second-stage entry, or none is left on the whole way.
    case secondStageNotPresent = 0x79
    /// SSS.3: a reserved bit is set in a second-stage entry with R or W.
    case secondStageReserved = 0x7a
    /// SSS.4: the second-stage root could not be read through SSPTPTR.
    case secondStageRootUnreachable = 0x7b
    /// SSS.5: a second-stage accessed or dirty bit had to be set by a walk that does not snoop.
    case secondStageMarkWithoutSnoop = 0x7c
    /// SGN.1: the address is not canonical for the first stage.
    case nonCanonical = 0x80
    /// SGN.2: U/S is 0 in a first-stage entry on the way of a user request.
    case supervisorPage = 0x81
    /// SGN.3: a request to execute without that permission; of older revisions.
    case executePermission = 0x82
    /// SGN.4: the address passes through and is at or above 2^HAW.
    case addressBeyondHostWidth = 0x83
    /// SGN.5: the address is at or above 2^X, X the smaller of AW's width and CAP.MGAW.
    case addressBeyondSecondStage = 0x84
    /// SGN.6: a write without write permission.
    case scalableWritePermission = 0x85
    /// SGN.7: a read without read permission.
    case scalableReadPermission = 0x86
    /// SGN.8: the address after translation lies in the interrupt address range.
    case scalableInterruptOutput = 0x87
    /// SGN.10: a request's PASID has more bits than ECAP.PSS says.
    case pasidBeyondSize = 0x89
    /// SFS.9: a first-stage accessed or dirty bit had to be set by a walk that does not snoop.
    case firstStageMarkWithoutSnoop = 0x90

    /// Fault Processing Disable of an entry on the way keeps the fault from being recorded (VT-d 7.1.1). False where no
    /// such entry was reached, and where hardware could not read its structures.
    public var isQualified: Bool {
        switch self {
        case .rootNotPresent, .rootTableUnreachable, .contextTableUnreachable, .rootReserved, .rootTableAddressInvalid,
            .pasidInLegacyMode, .dmaAborted, .scalableRootTableUnreachable, .scalableRootNotPresent,
            .scalableRootReserved, .scalableContextTableUnreachable, .pasidDirectoryUnreachable, .pasidTableUnreachable:
            false
        default: true
        }
    }
}

extension VTDFaultReason: CustomStringConvertible {
    /// The code as the specification writes it and its meaning: `fault Bh: reserved bit set in the context entry`.
    public var description: String { "fault \(String(rawValue, radix: 16, uppercase: true))h: \(meaning)" }
}
