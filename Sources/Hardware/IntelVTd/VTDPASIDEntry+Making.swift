import IOMMUModel

extension VTDPASIDEntry {
    /// What holds for an entry besides its tables.
    public struct Options: OptionSet, Sendable, Hashable {
        /// Bits as below; others mean nothing.
        public let rawValue: UInt8
        /// Any 8 bits.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// PWSNP: walks snoop; needs ECAP.SMPWCS. Hardware without it may not set accessed and dirty bits.
        public static let walkSnoop = Options(rawValue: 1)
        /// PGSNP: requests snoop; needs ECAP.SC.
        public static let pageSnoop = Options(rawValue: 2)
        /// SSADE: accessed and dirty bits of the second stage are updated; needs ECAP.SSADS.
        public static let secondStageAccessedDirty = Options(rawValue: 4)
        /// NXE: execute-disable is a first-stage bit.
        public static let executeDisable = Options(rawValue: 8)
        /// FPD: faults are not recorded.
        public static let noFaultRecords = Options(rawValue: 16)
    }

    /// A present entry through second-stage tables.
    public init(
        secondStage root: PhysicalAddress, width: VTDAddressWidth, domainID: UInt16, options: Options = []
    ) {
        self.init(.secondStage, domainID, options)
        setSecondStage(root, width, options)
    }

    /// A present entry through first-stage tables of four levels, or five.
    public init(firstStage root: PhysicalAddress, isFiveLevel: Bool, domainID: UInt16, options: Options = []) {
        self.init(.firstStage, domainID, options)
        setFirstStage(root, isFiveLevel, options)
    }

    /// A present entry through a guest's first-stage tables (`firstStage` is its address) and the host's second stage.
    public init(
        firstStage guestRoot: PhysicalAddress, isFiveLevel: Bool, over root: PhysicalAddress, width: VTDAddressWidth,
        domainID: UInt16, options: Options = []
    ) {
        self.init(.nested, domainID, options)
        setFirstStage(guestRoot, isFiveLevel, options)
        setSecondStage(root, width, options)
    }

    /// A present entry that passes addresses through.
    public init(passThroughWith domainID: UInt16, options: Options = []) {
        self.init(.passThrough, domainID, options)
    }

    private init(_ type: TranslationType, _ domainID: UInt16, _ options: Options) {
        self.init(
            Self.p.encoded(1) | Self.fpd.encoded(options.contains(.noFaultRecords) ? 1 : 0)
                | Self.pgtt.encoded(type.rawValue),
            Self.did.encoded(UInt64(domainID)) | Self.pwsnp.encoded(options.contains(.walkSnoop) ? 1 : 0)
                | Self.pgsnp.encoded(options.contains(.pageSnoop) ? 1 : 0))
    }

    private mutating func setSecondStage(_ root: PhysicalAddress, _ width: VTDAddressWidth, _ options: Options) {
        word0 |=
            Self.aw.encoded(UInt64(width.rawValue)) | Self.ssptptr.encoded(root.rawValue)
            | Self.ssade.encoded(options.contains(.secondStageAccessedDirty) ? 1 : 0)
    }

    private mutating func setFirstStage(_ root: PhysicalAddress, _ isFiveLevel: Bool, _ options: Options) {
        word2 |=
            Self.fspm.encoded(isFiveLevel ? 1 : 0) | Self.fsptptr.encoded(root.rawValue)
            | Self.nxe.encoded(options.contains(.executeDisable) ? 1 : 0)
    }
}
