import IOMMUModel

/// The shape of a tree of page tables and what its hardware can do: all that decides what a table word means.
///
/// A value of this type is always usable; what no hardware has cannot be made (the initialiser answers `nil`).
public struct PageTableConfiguration: Sendable, Hashable {
    /// What the bits of a word mean.
    public let format: PageTableFormatKind
    /// Level of the root table; level 0 maps 4 KiB. VT-d: 2, 3 or 4.
    public let topLevel: Int
    /// Input addresses of this many bits translate; a wider one faults. At most `12 + 9 * (topLevel + 1)`.
    public let addressBits: Int
    /// Output addresses have this many bits; higher ones up to bit 51 are reserved (VT-d: HAW). 32 to 52.
    public let hostAddressWidth: Int
    /// 2 MiB leaves exist (VT-d: CAP.SSLPS bit 34).
    public let supports2M: Bool
    /// 1 GiB leaves exist (VT-d: CAP.SSLPS bit 35).
    public let supports1G: Bool
    /// Leaves may force snooping (VT-d: ECAP.SC); without it the bit is reserved.
    public let snoopControl: Bool
    /// Device TLBs are supported (VT-d: ECAP.DT): leaves may carry the transient-mapping bit.
    public let deviceTLB: Bool
    /// The hardware writes accessed and dirty bits into the entries that it uses.
    public var accessedDirty: Bool
    /// The same facts as masks, computed once.
    let rules: EntryRules

    /// `nil` when `topLevel` is none of the format's, or `addressBits` is below 12 or more than the levels reach
    /// (`nil` stands for all that they reach). A `hostAddressWidth` outside 32...52 is taken as the nearer end.
    public init?(
        format: PageTableFormatKind = .vtdSecondStage, topLevel: Int, addressBits: Int? = nil,
        hostAddressWidth: Int = 52, supports2M: Bool = true, supports1G: Bool = true, snoopControl: Bool = true,
        deviceTLB: Bool = false, accessedDirty: Bool = false
    ) {
        guard Self.topLevels(of: format).contains(topLevel) else { return nil }
        let reach = 12 + 9 * (topLevel + 1)
        guard (12...reach).contains(addressBits ?? reach) else { return nil }
        self.format = format
        self.topLevel = topLevel
        self.addressBits = addressBits ?? reach
        self.hostAddressWidth = min(max(hostAddressWidth, 32), 52)
        self.supports2M = supports2M
        self.supports1G = supports1G
        self.snoopControl = snoopControl
        self.deviceTLB = deviceTLB
        self.accessedDirty = accessedDirty
        switch format {
        case .vtdSecondStage:
            rules = VTDSecondStage.rules(
                hostAddressWidth: self.hostAddressWidth, supports2M: supports2M, supports1G: supports1G,
                snoopControl: snoopControl, deviceTLB: deviceTLB)
        }
    }

    /// The levels that a root table of `format` may have.
    public static func topLevels(of format: PageTableFormatKind) -> ClosedRange<Int> {
        switch format {
        case .vtdSecondStage: VTDSecondStage.topLevels
        }
    }

    /// The last input address that translates at all.
    public var lastIOVA: IOVA { IOVA((1 &<< UInt64(addressBits)) &- 1) }

    /// The last output address that an entry can name.
    public var lastPhysicalAddress: PhysicalAddress { PhysicalAddress(rules.addressMask | 0xfff) }

    /// The page sizes that leaves can have: bit `k` stands for `2^k` bytes.
    public var pageSizes: UInt64 { rules.pageSizes }

    /// Bits of table words that the hardware may change by itself; 0 unless ``accessedDirty`` is on.
    ///
    /// Memory is compared with a record under the complement of this mask.
    public var hardwareUpdatedMask: UInt64 {
        guard accessedDirty else { return 0 }
        switch format {
        case .vtdSecondStage: return VTDSecondStage.accessedBit | VTDSecondStage.dirtyBit
        }
    }
}
