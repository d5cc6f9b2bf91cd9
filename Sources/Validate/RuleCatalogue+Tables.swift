import IOMMUModel

extension RuleID {
    /// Rules about page tables.
    var tableRule: Rule? {
        switch self {
        case .tableReservedBits:
            Rule(
                self, .error,
                "A present table entry has zero in its reserved bits and names a supported size (VT-d fault Ch, "
                    + "72h, 7Ah); for Arm, a type of its level and an output address that fits (RES0 bits it ignores: a warning).",
                source: "VT-d 3.6, 3.7, 9.7, 9.8; AMD 48882 2.2.3, 2.2.6; DDI 0487 D8.3", implied: [.areaNotMapped])
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
                "All items of one contiguous entry are alike, accessed and dirty bits aside (each translates by "
                    + "itself).",
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
                source: "page-table-formats.md 1.1, 1.4")
        case .tableIgnoredBits:
            Rule(
                self, .note,
                "Bits that neither the hardware nor a known driver uses are zero.",
                source: "page-table-formats.md 1.1")
        case .tableLeavesDecodeAsTables:
            Rule(
                self, .error,
                "What leaves map does not itself look like page tables of the same tree: the walk began at the "
                    + "right level.",
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
                source: "VT-d 7.1.3 (fault 7h, 70h, 78h); AMD 48882 2.5.5; live-update.md scenario 8",
                implied: [.areaNotMapped])
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
}
