import IOMMUModel

/// The catalogue: one entry per rule id. A new id does not compile without its entry.
extension RuleID {
    var catalogueEntry: Rule {
        fileRule ?? lookupRule ?? tableRule ?? areaRule ?? recoveryRule
    }

    /// Rules about the generation file itself.
    private var fileRule: Rule? {
        switch self {
        case .storeApplication:
            Rule(
                self, .error, "The file is a generation of ours: a database with our application id in its header.",
                source: "Schema/FORMAT.md, File header")
        case .storeVersion:
            Rule(
                self, .error, "The format version and every required feature bit are known to this program.",
                source: "Schema/FORMAT.md, Evolution; live-update.md 2.2 (supported, required, active)")
        case .storeSchema:
            Rule(
                self, .error, "The tables and views of the file are exactly those of its format version.",
                source: "Schema/FORMAT.md, Opening")
        case .sealMissing:
            Rule(
                self, .error, "The generation is sealed: its one seal row was committed before the jump.",
                source: "Schema/FORMAT.md, Commit and seal; live-update.md 3.3 D3-D4, scenario 1")
        case .sealRevoked:
            Rule(
                self, .error, "No later generation says that this seal no longer counts.",
                source: "lifecycle.md, phases as types (thaw); live-update.md scenario 2")
        case .nonceAbsent:
            Rule(
                self, .error, "The memory that the generation describes survived: it still holds a handover nonce.",
                source: "Schema/FORMAT.md, Nonce")
        case .nonceDiffers:
            Rule(
                self, .error, "The nonce in memory is the seal's: this file describes this memory.",
                source: "Schema/FORMAT.md, Nonce")
        case .recordChecksum:
            Rule(
                self, .error,
                "Every row and chunk has the checksum that is stored with it, bound to its table and key.",
                source: "Schema/FORMAT.md, Row checksum",
                implied: [.manifestDiffers, .rootDigestDiffers, .referenceUnresolved])
        case .manifestDiffers:
            Rule(
                self, .error, "Every table has the number of rows and the checksum sum that the manifest states.",
                source: "Schema/FORMAT.md, Manifest, root digest, seal", implied: [.rootDigestDiffers])
        case .rootDigestDiffers:
            Rule(
                self, .error, "The digest over the manifest is the one in the seal.",
                source: "Schema/FORMAT.md, Manifest, root digest, seal")
        case .recordMalformed:
            Rule(
                self, .error, "Every record decodes: fields in range, addresses aligned, one page has one content.",
                source: "Schema/FORMAT.md, Blob records; live-update.md scenario 3",
                implied: [.referenceUnresolved, .tablePageUnknown])
        case .referenceUnresolved:
            Rule(
                self, .error, "Every id that a record names exists in the same generation.",
                source: "live-update.md 2.3 (cross-references), scenario 7")
        default: nil
        }
    }

    /// Rules about areas, and areas against tables.
    private var areaRule: Rule? {
        switch self {
        case .areaMalformed:
            Rule(
                self, .error, "An area is whole pages, has a permission, and lies inside its backing.",
                source: "iommufd map rules; live-update.md 3.3 D1-D2, scenario 15",
                implied: [.areaNotMapped, .areaAddressDiffers, .mappingWithoutArea])
        case .areaOverlap:
            Rule(
                self, .error, "Areas of one IOAS do not overlap.",
                source: "iommufd (EEXIST); live-update.md scenario 12")
        case .areaReserved:
            Rule(
                self, .error, "No area lies in a reserved region of a group that uses its IOAS.",
                source: "iommufd (EINVAL); lifecycle.md, interrupt windows")
        case .areaNotMapped:
            Rule(
                self, .error, "Every byte of an area is mapped by the tables.",
                source: "lifecycle.md, audit; live-update.md 1.3 (J5b)")
        case .areaAddressDiffers:
            Rule(
                self, .error, "The tables map an area to the physical memory of its backing.",
                source: "lifecycle.md, audit; live-update.md scenarios 9, 42")
        case .areaProtectionDiffers:
            Rule(
                self, .error, "The tables give an area exactly its protection.",
                source: "lifecycle.md, audit; live-update.md 3.3 D9-D10")
        case .mappingWithoutArea:
            Rule(
                self, .error, "The tables map nothing beside the areas and the 1:1 reserved regions.",
                source: "lifecycle.md, audit; live-update.md scenario 9")
        case .areaWitnessMissing:
            Rule(
                self, .note, "The areas were declared, not read off the tables: they are an independent witness.",
                source: "Schema/FORMAT.md, Tables")
        case .backingAssumed:
            Rule(
                self, .note, "The backing's size and seals were observed, not assumed.",
                source: "lifecycle.md, imported machines")
        default: nil
        }
    }

    /// Rules about memory against the record, the way out and the way back. Exhaustive: the rest is listed.
    private var recoveryRule: Rule {
        switch self {
        case .tableMemoryDiffers:
            Rule(
                self, .error, "Between freeze and replace table pages change only in bits that the hardware updates.",
                source: "lifecycle.md, tables constant; live-update.md I-2, scenario 51",
                implied: [.areaAddressDiffers, .areaProtectionDiffers, .areaNotMapped, .mappingWithoutArea])
        case .lookupMemoryDiffers:
            Rule(
                self, .error, "Between freeze and replace a device's lookup entries are as recorded.",
                source: "lifecycle.md, restore; live-update.md scenario 51")
        case .attachmentEntryDiffers:
            Rule(
                self, .error,
                "The lookup entry of an attachment names the attached domain's root, width and cache tag.",
                source: "live-update.md 3.3 D5-D6; VT-d 9.3, 9.6; AMD 48882 2.2.2.1, 2.2.6.3")
        case .deviceMissing:
            Rule(
                self, .error, "Every preserved device is found in the machine at its requester id and unit.",
                source: "live-update.md scenario 38")
        case .pasidBeyondDevice:
            Rule(
                self, .error, "A device's PASIDs are no wider than the device can send them after the jump.",
                source: "live-update.md scenario 35; PCIe 7.8.9.2")
        case .unpreservedEntryLeft:
            Rule(
                self, .error, "The lookup entries of devices that are not preserved are cleared before the jump.",
                source: "lifecycle.md, devices that were not preserved; live-update.md scenario 47")
        case .preserveNoFunction:
            Rule(
                self, .error, "A preserved requester id has a PCI function (ENODEV).",
                source: "lifecycle.md, imported machines, guard 1")
        case .preserveATS:
            Rule(
                self, .error, "A preserved device uses neither ATS without a model of it nor PRI (EOPNOTSUPP).",
                source: "lifecycle.md, ATS, PRI; guard 2")
        case .preserveGroup:
            Rule(
                self, .error, "A preserved device is alone in its group (EOPNOTSUPP).",
                source: "lifecycle.md, groups; guard 3; live-update.md scenario 21")
        case .preserveOwner:
            Rule(
                self, .error, "The DMA owner of a preserved device's group is claimed (EINVAL).",
                source: "lifecycle.md, imported machines, guard 4; live-update.md scenario 22")
        case .preserveDomain:
            Rule(
                self, .error, "A device is preserved after its domain, and the domain is a paging one (EINVAL).",
                source: "live-update.md 3.3 D2, scenario 20")
        case .preservePASID:
            Rule(
                self, .error, "Every active PASID of a preserved device is preserved with it (EOPNOTSUPP).",
                source: "lifecycle.md, PASID; live-update.md scenario 34")
        case .compareDiffers:
            Rule(
                self, .error, "The new tables translate every IOVA as the restored ones do.",
                source: "lifecycle.md, compare; live-update.md scenarios 42, 43")
        case .storeApplication, .storeVersion, .storeSchema, .sealMissing, .sealRevoked, .nonceAbsent, .nonceDiffers,
            .recordChecksum, .manifestDiffers, .rootDigestDiffers, .recordMalformed, .referenceUnresolved,
            .unitMissing, .unitRegisterDiffers, .vtdRootTableAddress, .vtdTranslationMode, .vtdRootReserved,
            .vtdContextTableUnreachable, .vtdContextReserved, .vtdContextTranslationType, .vtdContextAddressWidth,
            .lookupPageUnknown, .requesterWithoutFunction, .cacheTagCollision, .tableReservedBits,
            .tableOutsideMemory, .tablePageUnknown, .tableNonZeroNotPresent, .tableReused, .tableLeafIntoTable,
            .tableBudgetExceeded, .areaMalformed, .areaOverlap, .areaReserved, .areaNotMapped, .areaAddressDiffers,
            .areaProtectionDiffers, .mappingWithoutArea, .areaWitnessMissing, .backingAssumed,
            .vtdPASIDDirectoryUnreachable, .vtdPASIDDirectoryReserved, .vtdPASIDTableUnreachable, .vtdPASIDReserved,
            .vtdPASIDTranslationType, .vtdPASIDAddressWidth, .vtdPASIDBeyondDirectory, .vtdPASIDNotEnabled,
            .amdDeviceTable, .amdDTEReserved, .amdDTEMode, .amdDTEGuest, .amdDTETranslationInvalid, .amdGCR3Unreachable,
            .amdGCR3Reserved, .tableInvalidLevel, .tableInvalidPageSize, .tableLeafNotAllowed, .tableMisaligned,
            .tableContiguousDiffers, .tableErratum512G, .tableNoAccess, .tableIgnoredBits, .tableLeavesDecodeAsTables,
            .guestTableUnmapped, .smmuStreamTable, .smmuSTEConfig, .smmuSTEStage2, .smmuSTENotRead:
            preconditionFailure("\(rawValue) is entered above")
        }
    }
}
