import IOMMUModel

extension Rule {
    /// What to do about a finding of this rule: where to look, and what a next kernel should have done.
    public var advice: String { id.advice }
}

/// One sentence or two per rule. A new id does not compile without its own.
extension RuleID {
    fileprivate var advice: String {
        switch self {
        case .storeApplication: "Give a generation file; an image of memory is read by 'import' first."
        case .storeVersion: "Read the file with the program version that wrote it, or a newer one."
        case .storeSchema:
            "Go back to the original: a tool has changed the tables of this file. Never repair a generation in place."
        case .sealMissing:
            "Boot as usual. If a handover was meant, the old engine died before its seal: 'events' shows its last step."
        case .sealRevoked: "Boot as usual: the old engine thawed and went on, so its record is out of date."
        case .nonceAbsent:
            "Boot as usual: the memory is gone. 'restore' without --memory rebuilds the state for a look at it."
        case .nonceDiffers: "Do not boot on: find the generation that belongs to this memory, or power the host off."
        case .recordChecksum, .manifestDiffers, .rootDigestDiffers:
            "Compare with a copy or with the digest noted at the seal; the file is damaged or not the one sealed."
        case .recordMalformed:
            "The checksum is right and the content is not: suspect the program that wrote the generation."
        case .referenceUnresolved:
            "List the table that the record names: an object was not sealed with the ones that point to it."
        case .unitMissing:
            "Compare 'units' with the machine: a unit was removed, or moved by firmware, between the kernels."
        case .unitRegisterDiffers:
            "Compare 'units --registers' with the machine: something reprogrammed the unit after the seal."
        case .vtdRootTableAddress:
            "Check rtaddr and the host address width given to 'import'; else the root register itself was damaged."
        case .vtdTranslationMode:
            "Check rtaddr (TTM), ecap (SMTS) and gsts (TES) given to 'import': is the unit in the mode that they say?"
        case .vtdRootReserved, .vtdContextReserved:
            "Look at the entry with 'translate': its devices fault until the reserved bits are cleared."
        case .vtdContextTableUnreachable:
            "Look at the entry with 'translate': every device of its bus faults. The pointer was overwritten."
        case .vtdContextTranslationType, .vtdContextAddressWidth:
            "Look at the entry with 'translate' and at cap and ecap in 'units --registers': which of them is wrong?"
        case .smmuStreamTable:
            "Check strtab_base_lo, strtab_base_hi and strtab_base_cfg given to 'import'; else the table itself was damaged."
        case .smmuSTEConfig:
            "Look at the entry with 'translate': its transactions are aborted until Config is one that exists."
        case .smmuSTEStage2:
            "Look at the entry with 'translate' and at idr0 and idr5 in 'units --registers': which field does not fit?"
        case .smmuSTENotRead:
            "Nothing is known of this device's mappings: the hardware may well translate them."
        case .lookupPageUnknown, .tablePageUnknown:
            "Get a fuller image of memory: what the page held cannot be told from this one."
        case .requesterWithoutFunction:
            "Nothing, if it is the alias of a bridge; such a requester id is never preserved by itself."
        case .cacheTagCollision:
            "Give one of the domains another tag before any DMA: the unit's caches mix them up."
        case .vtdPASIDDirectoryUnreachable, .vtdPASIDTableUnreachable, .amdGCR3Unreachable:
            "Look at the entry with 'translate': the PASIDs behind it fault. The pointer was overwritten."
        case .vtdPASIDDirectoryReserved, .vtdPASIDReserved, .amdDTEReserved, .amdGCR3Reserved:
            "Look at the entry with 'translate': its requests fault until the reserved bits are cleared."
        case .vtdPASIDTranslationType, .vtdPASIDAddressWidth, .amdDTEMode, .amdDTEGuest:
            "Look at the entry with 'translate' and at the capabilities in 'units --registers': which of them is wrong?"
        case .vtdPASIDBeyondDirectory:
            "Compare the size in the context entry (PDTS) with what the driver allocated: PASIDs beyond it are out "
                + "of reach."
        case .vtdPASIDNotEnabled:
            "Nothing, where the function lacks the PASID capability; else the context entry has lost its PASIDE bit."
        case .amdDeviceTable:
            "Check devtab and control given to 'import'; else the base register itself was damaged."
        case .amdDTETranslationInvalid:
            "Look at the entry with 'translate': the device is cut off, which a driver does with IR = IW = 0 instead."
        case .tableInvalidLevel, .tableInvalidPageSize, .tableLeafNotAllowed:
            "Look at the entry with 'translate': accesses below it fault. A wrong mode in the device table entry "
                + "does this too."
        case .tableMisaligned, .tableErratum512G:
            "Look at the entry with 'translate': no driver writes it so; the mapping may not be the one that was meant."
        case .tableContiguousDiffers:
            "Look at the items with 'translate': an unmap that cleared only a part, or an overwritten word."
        case .tableNoAccess, .tableIgnoredBits:
            "Nothing, unless many entries are like it: then another writer is at work."
        case .tableLeavesDecodeAsTables:
            "Compare the width or mode of the entry with its neighbours: these tables were built for another number "
                + "of levels."
        case .guestTableUnmapped: "Nothing: the guest's own accesses fault, as on its real hardware."
        case .tableReservedBits:
            "Look at the entry with 'translate': accesses below it fault. Clear it or map the range again."
        case .tableOutsideMemory:
            "Look at the entry with 'translate': the pointer was overwritten. Do not restore the domain in place."
        case .tableNonZeroNotPresent:
            "Look for a writer that clears present bits only; the mapping is lost, its lower tables may leak."
        case .tableReused:
            "Find the second user with 'tables': freeing one tree would break the other. Do not free by walking."
        case .tableLeafIntoTable:
            "Treat the device as able to rewrite its own translation: quarantine it, then see who mapped the page."
        case .tableBudgetExceeded:
            "Suspect a loop or a decompression bomb in the tables; read a smaller part of the image."
        case .areaMalformed: "Compare 'areas' with what userspace asked for; the map call should have been refused."
        case .areaOverlap: "Compare 'areas' with what userspace asked for; the second map should have answered EEXIST."
        case .areaReserved: "Compare with 'groups --reserved'; the map or the attach should have answered EINVAL."
        case .areaNotMapped, .areaAddressDiffers, .areaProtectionDiffers:
            "Look at the IOVA with 'translate': the tables were changed behind the IOAS, or the areas are not theirs."
        case .mappingWithoutArea:
            "Unmap the run or declare it: the device reaches memory that its owner does not know of."
        case .areaWitnessMissing: "Give the areas with --areas if they are known: then the audit proves something."
        case .backingAssumed:
            "Nothing for an imported machine; else the memory file was not sealed before the handover."
        case .tableMemoryDiffers, .lookupMemoryDiffers:
            "Quarantine the device; look for who wrote to the page between freeze and restore."
        case .attachmentEntryDiffers:
            "Look at the entry with 'translate' and at 'attachments': believe neither; the device is quarantined."
        case .deviceMissing:
            "Compare 'devices' with the machine: the device was removed or renumbered between the kernels."
        case .pasidBeyondDevice:
            "Compare the PASID capability of the function before and after: another firmware may have narrowed it."
        case .unpreservedEntryLeft:
            "Clear the entry and invalidate its caches before the memory of its tables is used again."
        case .preserveNoFunction: "Preserve the function behind the bridge instead; the alias goes with its group."
        case .preserveATS: "Switch ATS and PRI off before the handover; entries in the device would outlive the record."
        case .preserveGroup: "Isolate the device (ACS, another slot) or do without it: groups are all or nothing."
        case .preserveOwner: "Bind the device to vfio-pci and open it before the preserve."
        case .preserveDomain: "Preserve the HWPT first; only paging and pass-through domains can be carried."
        case .preservePASID: "Preserve every PASID of the device in the same session, or detach it."
        case .compareDiffers:
            "Map in the new IOAS what the old one had, then replace again; until then the old tables stay in use."
        }
    }
}
