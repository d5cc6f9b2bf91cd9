extension AMDDeviceTableEntry {
    /// Valid, bit 0.
    public static let v = BitField("V", bit: 0)
    /// Translation information valid, bit 1.
    public static let tv = BitField("TV", bit: 1)
    /// Host accessed and dirty, bits 8:7.
    public static let had = BitField("HAD", 8, 7)
    /// Paging mode, bits 11:9.
    public static let modeField = BitField("Mode", 11, 9)
    /// Root of the host tables, bits 51:12.
    public static let hostPTRoot = BitField("HostPTRoot", 51, 12, isAddress: true)
    /// Peripheral page requests, bit 52.
    public static let ppr = BitField("PPR", bit: 52)
    /// Guest page request responses with PASID, bit 53.
    public static let gprp = BitField("GPRP", bit: 53)
    /// Guest I/O protection valid, bit 54.
    public static let giov = BitField("GIoV", bit: 54)
    /// Guest translation valid, bit 55.
    public static let gv = BitField("GV", bit: 55)
    /// Levels of the GCR3 table minus 1, bits 57:56.
    public static let glx = BitField("GLX", 57, 56)
    /// Bits 14:12 of the GCR3 table's address, bits 60:58.
    public static let gcr3Low = BitField("GCR3_14_12", 60, 58)
    /// Reads are allowed, bit 61.
    public static let ir = BitField("IR", bit: 61)
    /// Writes are allowed, bit 62.
    public static let iw = BitField("IW", bit: 62)
    /// Domain id, bits 15:0 of word 1.
    public static let domainIDField = BitField("DomainID", word: 1, 15, 0)
    /// Bits 30:15 of the GCR3 table's address, bits 31:16 of word 1.
    public static let gcr3Middle = BitField("GCR3_30_15", word: 1, 31, 16)
    /// The device may have an IOTLB, bit 32 of word 1.
    public static let i = BitField("I", word: 1, bit: 32)
    /// Repeated page faults are not logged, bit 33 of word 1.
    public static let se = BitField("SE", word: 1, bit: 33)
    /// No page fault is logged, bit 34 of word 1.
    public static let sa = BitField("SA", word: 1, bit: 34)
    /// Port I/O, bits 36:35 of word 1.
    public static let ioCtl = BitField("IoCtl", word: 1, 36, 35)
    /// Caching hint, bit 37 of word 1.
    public static let cache = BitField("Cache", word: 1, bit: 37)
    /// No snooping, bit 38 of word 1.
    public static let sd = BitField("SD", word: 1, bit: 38)
    /// The exclusion range holds, bit 39 of word 1.
    public static let ex = BitField("EX", word: 1, bit: 39)
    /// System management messages, bits 41:40 of word 1.
    public static let sysMgt = BitField("SysMgt", word: 1, 41, 40)
    /// Bits 51:31 of the GCR3 table's address, bits 63:43 of word 1.
    public static let gcr3High = BitField("GCR3_51_31", word: 1, 63, 43)
    /// Interrupt map valid, bit 0 of word 2.
    public static let iv = BitField("IV", word: 2, bit: 0)
    /// Length of the interrupt table, bits 4:1 of word 2: 2^n entries.
    public static let intTabLen = BitField("IntTabLen", word: 2, 4, 1)
    /// Unmapped interrupts are ignored, bit 5 of word 2.
    public static let ig = BitField("IG", word: 2, bit: 5)
    /// Root of the interrupt table, bits 51:6 of word 2.
    public static let intTabRoot = BitField("IntTabRoot", word: 2, 51, 6, isAddress: true)
    /// Levels of guest tables, bits 55:54 of word 2.
    public static let guestPagingMode = BitField("GuestPagingMode", word: 2, 55, 54)
    /// INIT passes, bit 56 of word 2.
    public static let initPass = BitField("InitPass", word: 2, bit: 56)
    /// External interrupts pass, bit 57 of word 2.
    public static let eIntPass = BitField("EIntPass", word: 2, bit: 57)
    /// NMI passes, bit 58 of word 2.
    public static let nmiPass = BitField("NMIPass", word: 2, bit: 58)
    /// Fixed and arbitrated interrupts, bits 61:60 of word 2: 2 remaps them.
    public static let intCtl = BitField("IntCtl", word: 2, 61, 60)
    /// LINT0 passes, bit 62 of word 2.
    public static let lint0Pass = BitField("Lint0Pass", word: 2, bit: 62)
    /// LINT1 passes, bit 63 of word 2.
    public static let lint1Pass = BitField("Lint1Pass", word: 2, bit: 63)
    /// Attribute override, bit 54 of word 3.
    public static let attrV = BitField("AttrV", word: 3, bit: 54)
    /// Force coherence in mode 0, bit 55 of word 3.
    public static let mode0FC = BitField("Mode0FC", word: 3, bit: 55)
    /// Snoop attribute, bits 63:56 of word 3.
    public static let snoopAttr = BitField("SnoopAttr", word: 3, 63, 56)

    /// Fields and reserved bits of the entry (AMD 48882 2.2.2.1, table 7).
    public static let layout = StructureLayout(
        name: "amd.dte", wordCount: 4,
        fields: [
            v, tv, had, modeField, hostPTRoot, ppr, gprp, giov, gv, glx, gcr3Low, ir, iw, domainIDField, gcr3Middle, i,
            se, sa, ioCtl, cache, sd, ex, sysMgt, gcr3High, iv, intTabLen, ig, intTabRoot, guestPagingMode, initPass,
            eIntPass, nmiPass, intCtl, lint0Pass, lint1Pass, attrV, mode0FC, snoopAttr,
        ],
        reserved: [
            BitRange(6, 2), BitRange(63, 63), BitRange(word: 1, 42, 42), BitRange(word: 2, 53, 52),
            BitRange(word: 2, 59, 59), BitRange(word: 3, 53, 0),
        ], source: "AMD 48882 2.2.2.1")
}
