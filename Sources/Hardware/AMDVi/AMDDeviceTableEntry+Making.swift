import IOMMUModel

extension AMDDeviceTableEntry {
    /// An entry that blocks every request (``isBlocked``): V and TV, nothing else.
    public static let blocked = AMDDeviceTableEntry(word0: 3, word1: 0)

    /// An entry that passes addresses unchanged, with the rights of `protection`.
    public init(passThroughWith protection: Protection = .readWrite, domainID: UInt16) {
        self.init(word0: Self.valid(protection), word1: UInt64(domainID))
    }

    /// An entry that translates through v1 tables of `mode` levels at `root`, SME's C-bit included where the machine
    /// has one.
    ///
    /// `mode` is 1 to 6; another one, or a `root` that is not 4 KiB aligned or not below 2^52, is a bug of the caller.
    /// With `hostAccessedDirty` the unit sets accessed and dirty bits in the tables (HAD = 3).
    public init(
        v1Root root: PhysicalAddress, mode: Int, domainID: UInt16, protection: Protection = .readWrite,
        deviceTLB: Bool = false, hostAccessedDirty: Bool = false
    ) {
        precondition((1...6).contains(mode), "v1 tables have one to six levels")
        self.init(
            word0: Self.valid(protection) | Self.modeField.encoded(UInt64(mode))
                | Self.hostPTRoot.encoded(root.rawValue) | Self.had.encoded(hostAccessedDirty ? 3 : 0),
            word1: UInt64(domainID) | Self.i.encoded(deviceTLB ? 1 : 0))
    }

    /// An entry for guest (v2) tables by a GCR3 table of `glx` + 1 levels at `gcr3Root`, without host tables.
    ///
    /// `glx` is 0 to 2, `guestPagingMode` 0 (four levels) or 1 (five); others, or a root that is not 4 KiB aligned or
    /// not below 2^52, are a bug of the caller. With `giov` requests without a PASID use the tables of PASID 0,
    /// otherwise they pass unchanged.
    public init(
        v2GCR3Root gcr3Root: PhysicalAddress, glx: Int, giov: Bool = true, guestPagingMode: Int = 0, domainID: UInt16,
        protection: Protection = .readWrite, deviceTLB: Bool = false
    ) {
        self.init(
            word0: Self.valid(protection), word1: UInt64(domainID) | Self.i.encoded(deviceTLB ? 1 : 0))
        setGuest(gcr3Root: gcr3Root, glx: glx, giov: giov, guestPagingMode: guestPagingMode)
    }

    /// Adds guest translation, in place of any that is there: an entry with host tables becomes a nested one, whose
    /// guest tables hold addresses that its host tables translate.
    ///
    /// The same demands as those of ``init(v2GCR3Root:glx:giov:guestPagingMode:domainID:protection:deviceTLB:)``.
    public mutating func setGuest(gcr3Root: PhysicalAddress, glx: Int, giov: Bool, guestPagingMode: Int = 0) {
        precondition((0...2).contains(glx), "a GCR3 table has one to three levels")
        precondition((0...1).contains(guestPagingMode), "guest tables have four or five levels")
        let root = gcr3Root.rawValue
        precondition(root & 0xfff == 0 && root >> 52 == 0, "a GCR3 table is 4 KiB aligned and below 2^52")
        for field in [Self.giov, Self.gv, Self.glx, Self.gcr3Low] { word0 &= ~field.mask }
        for field in [Self.gcr3Middle, Self.gcr3High] { word1 &= ~field.mask }
        word2 &= ~Self.guestPagingMode.mask
        word0 |= Self.gv.encoded(1) | Self.giov.encoded(giov ? 1 : 0) | Self.glx.encoded(UInt64(glx))
        word0 |= Self.gcr3Low.encoded(root >> 12 & 7)
        word1 |= Self.gcr3Middle.encoded(root >> 15 & 0xffff) | Self.gcr3High.encoded(root >> 31)
        word2 |= Self.guestPagingMode.encoded(UInt64(guestPagingMode))
    }

    /// Puts other host tables in place of those that are there; all else stays.
    ///
    /// The same demands as those of ``init(v1Root:mode:domainID:protection:deviceTLB:hostAccessedDirty:)``.
    public mutating func setHost(v1Root root: PhysicalAddress, mode: Int) {
        precondition((1...6).contains(mode), "v1 tables have one to six levels")
        word0 &= ~(Self.modeField.mask | Self.hostPTRoot.mask)
        word0 |= Self.modeField.encoded(UInt64(mode)) | Self.hostPTRoot.encoded(root.rawValue)
    }

    private static func valid(_ protection: Protection) -> UInt64 {
        v.encoded(1) | tv.encoded(1) | ir.encoded(protection.contains(.read) ? 1 : 0)
            | iw.encoded(protection.contains(.write) ? 1 : 0)
    }
}
