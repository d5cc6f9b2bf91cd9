import IOMMUModel

/// The shape of a tree of page tables and what its hardware can do: all that decides what a table word means.
///
/// A value of this type is always usable; what no hardware has cannot be made (the initialiser answers `nil`).
public struct PageTableConfiguration: Sendable, Hashable {
    /// What the bits of a word mean.
    public let format: PageTableFormatKind
    /// Level of the root table; level 0 maps 4 KiB. VT-d second stage: 2, 3 or 4; AMD v1: 0 to 5; x86-64:
    /// 3 or 4; Armv8 stage 2: 1 to 3 (the vendor's start level 2 to 0).
    public var topLevel: Int { Int(top) }
    /// Input addresses of this many bits translate; a wider one faults. At most `12 + 9 * (topLevel + 1)`, and 64.
    public var addressBits: Int { Int(bits) }
    /// The level up to which a tree may grow by new roots (AMD v1); otherwise ``topLevel``.
    public var maximumTopLevel: Int { Int(maximumTop) }
    /// ``addressBits`` of a tree that has grown as far as it may (AMD v1); otherwise ``addressBits``.
    public var maximumAddressBits: Int { Int(maximumBits) }
    /// Output addresses have this many bits, 32 to 52; higher ones up to bit 51 are reserved (VT-d: HAW; Armv8: output size,
    /// at most 48). AMD v1's entries have 52 whatever this is; it only limits what can be mapped.
    public var hostAddressWidth: Int { Int(hostBits) }
    /// 2 MiB leaves exist (VT-d second stage: CAP.SSLPS bit 34). Does not count for AMD v1, which has every size.
    public let supports2M: Bool
    /// 1 GiB leaves exist (VT-d: CAP.SSLPS bit 35; first stage: CAP.FS1GP). Does not count for AMD v1.
    public let supports1G: Bool
    /// Leaves may force snooping (VT-d: ECAP.SC, without it the bit is reserved; AMD v1: FC). x86-64 has no such bit.
    public let snoopControl: Bool
    /// Device TLBs are supported (VT-d: ECAP.DT): leaves of the second stage may carry the transient-mapping bit.
    public let deviceTLB: Bool
    /// XD forbids instruction fetches (x86-64: NXE); without it the bit is reserved.
    public let noExecute: Bool
    /// Input addresses are sign-extended from their top bit (x86-64), instead of zero-extended.
    public let signExtended: Bool
    /// The bit of a word that says that memory is encrypted and is no part of the address (AMD: C-bit), 32 to 51; `nil`:
    /// none, or not known. VT-d's second stage has none.
    public var encryptionBit: Int? { encryption == 0 ? nil : Int(encryption) }
    /// What the entry that points to the root grants, ANDed with all others (AMD: IR and IW of the device table entry).
    /// VT-d's second stage has no such thing: read and write.
    public let rootProtection: Protection
    /// The hardware writes accessed and dirty bits into the entries that it uses.
    public var accessedDirty: Bool
    // Numbers up to 64 in a byte each: a restore has one such value for every device and PASID. 0: no C-bit.
    private var top: UInt8
    private var bits: UInt8
    private let maximumTop: UInt8
    private let maximumBits: UInt8
    private let hostBits: UInt8
    private let encryption: UInt8
    /// The same facts as masks, computed once.
    private(set) var rules: EntryRules

    /// `nil` when `topLevel` is none of the format's, or `addressBits` is below 12 or more than the levels reach (`nil`
    /// stands for all that they reach), when `encryptionBit` is outside 32...51, or `signExtended` is asked of another
    /// format than x86-64, or of fewer bits than the levels reach.
    ///
    /// `maximumAddressBits` counts for AMD v1 only; `nil` stands for 64, or for `addressBits` where those are fewer than
    /// the levels reach. A tree that does not use all its levels does not grow: there the two must be equal.
    /// A `hostAddressWidth` outside 32...52 is taken as the nearer end. `accessFlagFaults` counts for Armv8 only: a leaf whose
    /// access flag is clear faults (neither S2HA nor S2AFFD).
    public init?(
        format: PageTableFormatKind = .vtdSecondStage, topLevel: Int, addressBits: Int? = nil,
        maximumAddressBits: Int? = nil, hostAddressWidth: Int = 52, supports2M: Bool = true, supports1G: Bool = true,
        snoopControl: Bool = true, deviceTLB: Bool = false, noExecute: Bool = true, signExtended: Bool = false,
        encryptionBit: Int? = nil, rootProtection: Protection = .readWrite, accessedDirty: Bool = false,
        accessFlagFaults: Bool = true
    ) {
        guard Self.topLevels(of: format).contains(topLevel) else { return nil }
        let reach = Self.reach(topLevel)
        let bits = addressBits ?? reach
        guard (12...reach).contains(bits), encryptionBit.map((32...51).contains) ?? true else { return nil }
        guard !signExtended || (format == .x86_64 && bits == reach) else { return nil }
        var mostBits = bits
        var mostLevel = topLevel
        if format == .amdV1 {
            mostBits = maximumAddressBits ?? (bits < reach ? bits : 64)
            guard mostBits == bits || (bits == reach && (bits...64).contains(mostBits)) else { return nil }
            while Self.reach(mostLevel) < mostBits { mostLevel += 1 }
        }
        let hasEncryption = format == .amdV1 || format == .x86_64
        self.format = format
        top = UInt8(topLevel)
        self.bits = UInt8(bits)
        maximumTop = UInt8(mostLevel)
        maximumBits = UInt8(mostBits)
        let hostBits = min(max(hostAddressWidth, 32), 52)
        self.hostBits = UInt8(hostBits)
        self.supports2M = supports2M
        self.supports1G = supports1G
        self.snoopControl = snoopControl
        self.deviceTLB = deviceTLB
        self.noExecute = noExecute
        self.signExtended = signExtended
        let encryptionBit = hasEncryption ? encryptionBit : nil
        encryption = UInt8(encryptionBit ?? 0)
        let rootProtection = hasEncryption ? rootProtection.intersection(.readWrite) : .readWrite
        self.rootProtection = rootProtection
        self.accessedDirty = accessedDirty
        let capabilities = EntryCapabilities(
            hostAddressWidth: hostBits, supports2M: supports2M, supports1G: supports1G,
            snoopControl: snoopControl, deviceTLB: deviceTLB, noExecute: noExecute, encryptionBit: encryptionBit,
            maximumTopLevel: mostLevel, rootProtection: rootProtection, accessFlagFaults: accessFlagFaults)
        rules =
            switch format {
            case .vtdSecondStage: VTDSecondStage.rules(capabilities)
            case .amdV1: AMDv1.rules(capabilities)
            case .x86_64: X86_64.rules(capabilities)
            case .armv8Stage2: Armv8Stage2.rules(capabilities)
            }
        rules.setShape(topLevel: topLevel, addressBits: bits, signExtended: signExtended)
    }

    /// The same tree with a root at `level`, from ``topLevel`` to ``maximumTopLevel``.
    func grown(to level: Int) -> PageTableConfiguration {
        var grown = self
        grown.top = UInt8(level)
        grown.bits = UInt8(min(Self.reach(level), maximumAddressBits))
        grown.rules.setShape(topLevel: level, addressBits: grown.addressBits, signExtended: signExtended)
        return grown
    }

    /// The input bits that tables up to `level` decide.
    private static func reach(_ level: Int) -> Int { min(12 + 9 * (level + 1), 64) }

    /// The levels that a root table of `format` may have.
    public static func topLevels(of format: PageTableFormatKind) -> ClosedRange<Int> {
        switch format {
        case .vtdSecondStage: VTDSecondStage.topLevels
        case .amdV1: AMDv1.topLevels
        case .x86_64: X86_64.topLevels
        case .armv8Stage2: Armv8Stage2.topLevels
        }
    }

    /// The input addresses that translate at all, ascending: one range, or two halves when ``signExtended``.
    public var iovaRanges: [IOVARange] {
        guard signExtended else { return [IOVARange(first: IOVA(0), last: lastIOVA)!] }
        return [
            IOVARange(first: IOVA(0), last: IOVA(rules.bias - 1))!,
            IOVARange(first: rules.iova(rules.bias), last: lastIOVA)!,
        ]
    }

    /// True when `iova` is in one of ``iovaRanges``.
    public func contains(_ iova: IOVA) -> Bool { rules.contains(iova.rawValue) }

    /// The last input address that translates at all; the highest of all when ``signExtended``.
    public var lastIOVA: IOVA { rules.iova(rules.lastLinear) }

    /// The last output address that an entry can be given.
    public var lastPhysicalAddress: PhysicalAddress { PhysicalAddress(rules.encodable | 0xfff) }

    /// The page sizes that leaves can be given: bit `k` stands for `2^k` bytes.
    public var pageSizes: UInt64 { rules.pageSizes }

    /// Bits of table words that the hardware may change by itself; 0 unless ``accessedDirty`` is on.
    ///
    /// Memory is compared with a record under the complement of this mask.
    public var hardwareUpdatedMask: UInt64 { updatedBits(dirty: true) }

    /// The bits that the hardware sets in an entry that it uses, with `dirty` in a leaf that it writes through.
    func updatedBits(dirty: Bool) -> UInt64 {
        guard accessedDirty else { return 0 }
        return dirty ? format.accessedBit | format.dirtyBit : format.accessedBit
    }
}
