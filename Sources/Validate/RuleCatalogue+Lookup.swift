import IOMMUModel

extension RuleID {
    /// Rules about units, their registers and their lookup structures.
    var lookupRule: Rule? {
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
                self, .error,
                "A present root entry points to a context table inside the machine's memory (fault 9h, 40h).",
                source: "VT-d 9.1, 9.2, 7.1.3", implied: [.attachmentEntryDiffers])
        case .vtdContextReserved:
            Rule(
                self, .error, "A context entry has zero in its reserved bits (fault Bh, 42h when present).",
                source: "VT-d 9.3, 9.4", implied: [.attachmentEntryDiffers])
        case .vtdContextTranslationType:
            Rule(
                self, .error,
                "A present context entry asks for a translation that the unit supports (TT, PRE, RID_PASID; fault "
                    + "3h, 43h).",
                source: "VT-d 9.3 (TT), 9.4 (PRE, RID_PASID), 11.4.3 (ECAP.DT, ECAP.PT)",
                implied: [.attachmentEntryDiffers])
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
                "A present PASID-table entry names a translation type (PGTT) that exists and that the unit supports "
                    + "(fault 5Bh).",
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
                "PASID-table entries other than RID_PASID's are present only where the context entry enables PASIDs "
                    + "(PASIDE).",
                source: "VT-d 9.4 (PASIDE)")
        case .amdDeviceTable:
            Rule(
                self, .error,
                "The unit translates by a device table inside the machine's memory, whose base register has zero in "
                    + "its reserved bits.",
                source: "AMD 48882 3.4.1 (MMIO offset 0000h), 3.4.4 (IommuEn)",
                implied: [.lookupPageUnknown, .attachmentEntryDiffers])
        case .amdDTEReserved:
            Rule(
                self, .error,
                "A valid device table entry has zero in its reserved bits (ILLEGAL_DEV_TABLE_ENTRY).",
                source: "AMD 48882 2.2.2.1", implied: [.attachmentEntryDiffers])
        case .amdDTEMode:
            Rule(
                self, .error,
                "A valid device table entry names a paging mode that exists, that the unit supports (EFR.HATS) and "
                    + "that its tables have.",
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
        case .smmuStreamTable:
            Rule(
                self, .error,
                "The unit translates by a stream table inside the machine's memory whose format, split and spans exist.",
                source: "IHI 0070 3.3.1, 5.1, 6.3 (SMMU_STRTAB_BASE, SMMU_STRTAB_BASE_CFG)",
                implied: [.lookupPageUnknown, .attachmentEntryDiffers])
        case .smmuSTEConfig:
            Rule(
                self, .error,
                "A stream table entry that is valid has a Config that exists and that the unit supports; one that is not is "
                    + "empty.",
                source: "IHI 0070 5.2 (V, Config)", implied: [.attachmentEntryDiffers])
        case .smmuSTEStage2:
            Rule(
                self, .error,
                "The fields of stage 2 fit each other and the unit: S2T0SZ the start level, S2TTB the output size "
                    + "(C_BAD_STE).",
                source: "IHI 0070 5.2 (S2T0SZ, S2SL0, S2TG, S2AA64, S2TTB)", implied: [.attachmentEntryDiffers])
        case .smmuSTENotRead:
            Rule(
                self, .warning,
                "A stream table entry asks for what this program reads: abort, bypass, or stage 2 with a 4 KiB granule, one "
                    + "root table and little-endian tables.",
                source: "Schema/FORMAT.md, Table 13: `domain_unit`", implied: [.attachmentEntryDiffers])
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
                "A cache tag, with the PASID in its key, stands for one table root on a unit; pass-through never "
                    + "collides.",
                source: "lifecycle.md, cache tags; VT-d 6.2.2; AMD 48882 2.2.2.1 (DomainID); live-update.md scenario 37"
            )
        default: nil
        }
    }
}
