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

    /// Rules about units, their registers and their lookup structures.
    private var lookupRule: Rule? {
        switch self {
        case .unitMissing:
            Rule(
                self, .error, "Every recorded unit is found in the machine by kind and register base.",
                source: "live-update.md 3.3 D4-D5, scenario 39", implied: [.deviceMissing])
        case .unitRegisterDiffers:
            Rule(
                self, .error, "The unit's registers in the machine equal the recorded ones.",
                source: "live-update.md 3.3 D4-D5, scenario 39")
        case .vtdRootTableAddress:
            Rule(
                self, .error, "The root register is recorded and points to a root table below the host address width.",
                source: "VT-d 11.4.6 (RTADDR_REG)", implied: [.lookupPageUnknown, .attachmentEntryDiffers])
        case .vtdTranslationMode:
            Rule(
                self, .error, "The unit translates: RTADDR.TTM names a mode that it has, and GSTS.TES is set.",
                source: "VT-d 11.4.5 (GSTS_REG), 11.4.6 (RTADDR_REG)", implied: [.attachmentEntryDiffers])
        case .vtdRootReserved:
            Rule(
                self, .error, "A root entry has zero in its reserved bits (fault Ah, 3Ah when present).",
                source: "VT-d 9.1, 9.2", implied: [.attachmentEntryDiffers])
        case .vtdContextTableUnreachable:
            Rule(
                self, .error, "A present root entry points to a context table inside the machine's memory (fault 9h, 40h).",
                source: "VT-d 9.1, 9.2, 7.1.3", implied: [.attachmentEntryDiffers])
        case .vtdContextReserved:
            Rule(
                self, .error, "A context entry has zero in its reserved bits (fault Bh, 42h when present).",
                source: "VT-d 9.3, 9.4", implied: [.attachmentEntryDiffers])
        case .vtdContextTranslationType:
            Rule(
                self, .error,
                "A present context entry asks for a translation that the unit supports (TT, PRE, RID_PASID; fault 3h, 43h).",
                source: "VT-d 9.3 (TT), 9.4 (PRE, RID_PASID), 11.4.3 (ECAP.DT, ECAP.PT)", implied: [.attachmentEntryDiffers])
        case .vtdContextAddressWidth:
            Rule(
                self, .error, "A present context entry names an address width that CAP.SAGAW supports (fault 3h).",
                source: "VT-d 9.3 (AW), 11.4.2 (CAP.SAGAW)",
                implied: [.attachmentEntryDiffers, .tableLeavesDecodeAsTables])
        case .vtdPASIDDirectoryUnreachable:
            Rule(
                self, .error,
                "A present scalable context entry points to a PASID directory inside the machine's memory (fault 50h).",
                source: "VT-d 9.4, 7.1.3", implied: [.attachmentEntryDiffers])
        case .vtdPASIDDirectoryReserved:
            Rule(
                self, .error,
                "A present PASID directory entry has zero in its reserved bits (fault 52h).",
                source: "VT-d 9.5, 7.1.3", implied: [.attachmentEntryDiffers])
        case .vtdPASIDTableUnreachable:
            Rule(
                self, .error,
                "A present PASID directory entry points to a PASID table inside the machine's memory (fault 58h).",
                source: "VT-d 9.5, 7.1.3", implied: [.attachmentEntryDiffers])
        case .vtdPASIDReserved:
            Rule(
                self, .error,
                "A present PASID-table entry has zero in its reserved bits (fault 5Ah).",
                source: "VT-d 9.6, 7.1.3", implied: [.attachmentEntryDiffers])
        case .vtdPASIDTranslationType:
            Rule(
                self, .error,
                "A present PASID-table entry names a translation type (PGTT) that exists and that the unit supports (fault 5Bh).",
                source: "VT-d 9.6 (PGTT), 11.4.3 (ECAP.FSTS, SSTS, NEST, PT)", implied: [.attachmentEntryDiffers])
        case .vtdPASIDAddressWidth:
            Rule(
                self, .error,
                "A present PASID-table entry names an address width (AW, FSPM) that the unit supports (fault 5Bh).",
                source: "VT-d 9.6 (AW, FSPM), 11.4.2 (CAP.SAGAW, FS5LP)",
                implied: [.attachmentEntryDiffers, .tableLeavesDecodeAsTables])
        case .vtdPASIDBeyondDirectory:
            Rule(
                self, .warning,
                "No present directory entry stands beyond the size that the context entry declares (PDTS).",
                source: "VT-d 9.4 (PDTS); page-table-formats.md 2.1", implied: [.attachmentEntryDiffers])
        case .vtdPASIDNotEnabled:
            Rule(
                self, .note,
                "PASID-table entries other than RID_PASID's are present only where the context entry enables PASIDs (PASIDE).",
                source: "VT-d 9.4 (PASIDE)")
        case .amdDeviceTable:
            Rule(
                self, .error,
                "The unit translates by a device table inside the machine's memory, whose base register has zero in its reserved bits.",
                source: "AMD 48882 3.4.1 (MMIO offset 0000h), 3.4.4 (IommuEn)", implied: [.lookupPageUnknown, .attachmentEntryDiffers])
        case .amdDTEReserved:
            Rule(
                self, .error,
                "A valid device table entry has zero in its reserved bits (ILLEGAL_DEV_TABLE_ENTRY).",
                source: "AMD 48882 2.2.2.1", implied: [.attachmentEntryDiffers])
        case .amdDTEMode:
            Rule(
                self, .error,
                "A valid device table entry names a paging mode that exists, that the unit supports (EFR.HATS) and that its tables have.",
                source: "AMD 48882 2.2.2.1 (Mode), 2.2.3 (Next Level), 3.4.9 (HATS)",
                implied: [.attachmentEntryDiffers, .tableInvalidLevel])
        case .amdDTEGuest:
            Rule(
                self, .error,
                "A device table entry uses guest translation only as the unit supports it (EFR.GTSup, GLXSup, GATS).",
                source: "AMD 48882 2.2.2.1 (GV, GLX, GuestPagingMode), 3.4.9", implied: [.attachmentEntryDiffers])
        case .amdDTETranslationInvalid:
            Rule(
                self, .warning,
                "A valid device table entry has valid translation information (V = 1, TV = 0 aborts every request).",
                source: "AMD 48882 2.2.2.1 (TV)", implied: [.attachmentEntryDiffers])
        case .amdGCR3Unreachable:
            Rule(
                self, .error,
                "A guest CR3 table pointer stays inside the machine's memory.",
                source: "AMD 48882 2.2.6.3", implied: [.attachmentEntryDiffers])
        case .amdGCR3Reserved:
            Rule(
                self, .error,
                "A valid guest CR3 table entry has zero in its reserved bits.",
                source: "AMD 48882 2.2.6.3", implied: [.attachmentEntryDiffers])
        case .lookupPageUnknown:
            Rule(
                self, .error, "Every page of a lookup structure that the hardware reads is recorded.",
                source: "VT-d 3.4; AMD 48882 2.2.2; live-update.md scenario 8", implied: [.attachmentEntryDiffers])
        case .requesterWithoutFunction:
            Rule(
                self, .warning,
                "Every requester id with a lookup entry has a PCI function (an alias of a bridge has not).",
                source: "live-update.md scenario 48; lifecycle.md, imported machines")
        case .cacheTagCollision:
            Rule(
                self, .error,
                "A cache tag, with the PASID in its key, stands for one table root on a unit; pass-through never collides.",
                source: "lifecycle.md, cache tags; VT-d 6.2.2; AMD 48882 2.2.2.1 (DomainID); live-update.md scenario 37")
        default: nil
        }
    }

    /// Rules about page tables.
    private var tableRule: Rule? {
        switch self {
        case .tableReservedBits:
            Rule(
                self, .error,
                "A present table entry has zero in its reserved bits and names a supported size (VT-d fault Ch, 72h, 7Ah).",
                source: "VT-d 3.6, 3.7, 9.7, 9.8; AMD 48882 2.2.3, 2.2.6", implied: [.areaNotMapped])
        case .tableInvalidLevel:
            Rule(
                self, .error,
                "A table entry names a next level below its own.",
                source: "AMD 48882 2.2.3 (Next Level)", implied: [.areaNotMapped])
        case .tableInvalidPageSize:
            Rule(
                self, .error,
                "A sized leaf is larger than a slot of its table and smaller than the table (AMD next level 7).",
                source: "AMD 48882 2.2.3 (page size encoding)", implied: [.areaNotMapped])
        case .tableLeafNotAllowed:
            Rule(
                self, .error,
                "No leaf stands in a table of the sixth level.",
                source: "AMD 48882 2.2.3", implied: [.areaNotMapped])
        case .tableMisaligned:
            Rule(
                self, .warning,
                "The address of a large leaf is a multiple of its size (the hardware ignores the low bits).",
                source: "AMD 48882 2.2.3; page-table-formats.md 1.1")
        case .tableContiguousDiffers:
            Rule(
                self, .warning,
                "All items of one contiguous entry are alike, accessed and dirty bits aside (each translates by itself).",
                source: "AMD 48882 2.2.3; page-table-formats.md 6, trap 7", implied: [.areaNotMapped])
        case .tableErratum512G:
            Rule(
                self, .warning,
                "No leaf has 512 GiB (an erratum of the hardware).",
                source: "page-table-formats.md 1.1")
        case .tableNoAccess:
            Rule(
                self, .note,
                "A present leaf grants an access.",
                source: "page-table-formats.md 1.1")
        case .tableIgnoredBits:
            Rule(
                self, .note,
                "Bits that neither the hardware nor a known driver uses are zero.",
                source: "page-table-formats.md 1.1")
        case .tableLeavesDecodeAsTables:
            Rule(
                self, .error,
                "What leaves map does not itself look like page tables of the same tree: the walk began at the right level.",
                source: "page-table-formats.md 6; live-update.md scenario 10",
                implied: [
                    .tableLeafIntoTable, .attachmentEntryDiffers, .areaNotMapped, .areaAddressDiffers,
                    .areaProtectionDiffers, .mappingWithoutArea,
                ])
        case .guestTableUnmapped:
            Rule(
                self, .warning,
                "The tables of a guest lie in memory that the second stage maps.",
                source: "VT-d 3.8; AMD 48882 2.2.7")
        case .tableOutsideMemory:
            Rule(
                self, .error, "A table pointer stays inside the machine's memory.",
                source: "VT-d 7.1.3 (fault 7h, 70h, 78h); AMD 48882 2.5.5; live-update.md scenario 8", implied: [.areaNotMapped])
        case .tablePageUnknown:
            Rule(
                self, .error, "Every table page that a walk reaches is recorded (an image may lack one: a warning).",
                source: "live-update.md scenario 8; lifecycle.md, words (fault)", implied: [.areaNotMapped])
        case .tableNonZeroNotPresent:
            Rule(
                self, .warning, "An entry that is not present is zero, and nothing hangs below it.",
                source: "VT-d 9.7, 9.8; AMD 48882 2.2.3; page-table-formats.md 1.1-1.3", implied: [.areaNotMapped])
        case .tableReused:
            Rule(
                self, .error, "A table page is reached through one entry, at one level, of one domain's tree.",
                source: "live-update.md scenario 11; page-table-formats.md 6, trap 11",
                implied: [.areaAddressDiffers, .mappingWithoutArea, .tableLeafIntoTable, .tableInvalidLevel])
        case .tableLeafIntoTable:
            Rule(
                self, .error, "No mapping lets a device reach a table or lookup page of the machine.",
                source: "live-update.md scenario 10")
        case .tableBudgetExceeded:
            Rule(
                self, .error, "The tables of one domain can be read within the bounds of pages, findings and runs.",
                source: "page-table-formats.md 6, trap 11", implied: [.areaNotMapped])
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
            .guestTableUnmapped:
            preconditionFailure("\(rawValue) is entered above")
        }
    }
}
