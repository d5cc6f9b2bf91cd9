import IOMMUModel

extension PageTableFormatKind {
    /// The rights that leaves have which are asked to give `protection`: x86-64 has no write without read.
    @inlinable
    public func granted(_ protection: Protection) -> Protection {
        self == .x86_64 && protection == .write ? .readWrite : protection
    }

    /// The bits that hardware can set by itself in an entry that it uses: accessed and dirty.
    public var hardwareBits: UInt64 { accessedBit | dirtyBit }

    /// See ``PageTableFormat``.
    var accessedBit: UInt64 {
        switch self {
        case .vtdSecondStage: VTDSecondStage.accessedBit
        case .amdV1: AMDv1.accessedBit
        case .x86_64: X86_64.accessedBit
        case .armv8Stage2: Armv8Stage2.accessedBit
        }
    }

    /// See ``PageTableFormat``.
    var dirtyBit: UInt64 {
        switch self {
        case .vtdSecondStage: VTDSecondStage.dirtyBit
        case .amdV1: AMDv1.dirtyBit
        case .x86_64: X86_64.dirtyBit
        case .armv8Stage2: Armv8Stage2.dirtyBit
        }
    }
}
