import IOMMUModel

/// A scalable-mode context entry (VT-d 9.4): 32 bytes, one per device and function, 128 in the table of half a bus.
///
/// It says how the device's requests find their PASID-table entry; where their addresses go stands there.
@frozen
public struct VTDScalableContextEntry: Sendable, Hashable {
    /// Word 0.
    public var low: UInt64
    /// Word 1.
    public var high: UInt64
    /// Words 2 and 3, all reserved.
    public var word2: UInt64, word3: UInt64

    /// Any words.
    @inlinable public init(low: UInt64, high: UInt64, word2: UInt64 = 0, word3: UInt64 = 0) {
        self.low = low
        self.high = high
        self.word2 = word2
        self.word3 = word3
    }

    /// The four words at `words`.
    init(_ words: UnsafeMutablePointer<UInt64>) {
        self.init(low: words[0], high: words[1], word2: words[2], word3: words[3])
    }

    /// Present, bit 0.
    public static let p = BitField("P", bit: 0)
    /// Fault Processing Disable, bit 1.
    public static let fpd = BitField("FPD", bit: 1)
    /// Device-TLB Enable, bit 2; reserved without ECAP.DT.
    public static let dte = BitField("DTE", bit: 2)
    /// PASID Enable, bit 3: requests with a PASID are allowed; reserved without ECAP.PASID.
    public static let paside = BitField("PASIDE", bit: 3)
    /// Page Request Enable, bit 4; reserved without ECAP.PRS, illegal without DTE.
    public static let pre = BitField("PRE", bit: 4)
    /// PASID Directory Size, bits 11:9: the directory has 2^(PDTS + 7) entries.
    public static let pdts = BitField("PDTS", 11, 9)
    /// PASID directory pointer, bits 63:12; those at and above the host address width are reserved.
    public static let pasiddirptr = BitField("PASIDDIRPTR", 63, 12, isAddress: true)
    /// The PASID under which untagged requests are looked up, bits 19:0 of word 1; reserved without ECAP.RPS.
    public static let ridPASID = BitField("RID_PASID", word: 1, 19, 0)
    /// Untagged requests are privileged, bit 20 of word 1; reserved without ECAP.RPRIVS.
    public static let ridPriv = BitField("RID_PRIV", word: 1, bit: 20)

    /// Fields and reserved bits of the entry (VT-d 9.4). Bits 6:5 have names since revision 5.0 and are reserved on a
    /// unit whose ECAP lacks HPTS and PTRS.
    public static let layout = StructureLayout(
        name: "vtd.sm_context", wordCount: 4,
        fields: [p, fpd, dte, paside, pre, pdts, pasiddirptr, ridPASID, ridPriv],
        reserved: [
            BitRange(8, 5), BitRange(word: 1, 63, 21), BitRange(word: 2, 63, 0), BitRange(word: 3, 63, 0),
        ], source: "VT-d 9.4")

    /// Size in bytes.
    public static let byteCount: UInt64 = 32

    /// A present entry. `directorySizeCode` is PDTS, 0 to 7.
    public init(
        directory: PhysicalAddress, directorySizeCode: UInt8, pasidEnabled: Bool, deviceTLB: Bool = false,
        ridPASID: PASID = PASID(0)!
    ) {
        self.init(
            low: Self.p.encoded(1) | Self.dte.encoded(deviceTLB ? 1 : 0) | Self.paside.encoded(pasidEnabled ? 1 : 0)
                | Self.pdts.encoded(UInt64(directorySizeCode)) | Self.pasiddirptr.encoded(directory.rawValue),
            high: Self.ridPASID.encoded(UInt64(ridPASID.rawValue)))
    }

    /// The four words.
    public var words: [UInt64] { [low, high, word2, word3] }

    /// P is set: otherwise the hardware looks at no other bit but FPD.
    public var isPresent: Bool { low & 1 != 0 }
    /// All words are 0.
    public var isZero: Bool { low | high | word2 | word3 == 0 }
    /// Nothing but FPD is set: how a driver leaves an entry whose faults shall not be recorded.
    public var isEmpty: Bool { low & ~2 | high | word2 | word3 == 0 }
    /// Fault Processing Disable; counts in a not-present entry too.
    public var faultProcessingDisabled: Bool { low & 2 != 0 }
    /// DTE: the device may have a device-TLB.
    public var allowsDeviceTLB: Bool { low & 4 != 0 }
    /// PASIDE: requests with a PASID are allowed.
    public var pasidEnabled: Bool { low & 8 != 0 }
    /// PRE: the device may send page requests.
    public var allowsPageRequests: Bool { low & 16 != 0 }
    /// PDTS, 0 to 7.
    public var directorySizeCode: UInt8 { UInt8(truncatingIfNeeded: Self.pdts.value(in: low)) }
    /// Entries of the PASID directory: 128 to 16,384.
    public var directoryEntryCount: Int { 128 &<< Int(directorySizeCode) }
    /// The PASID directory, 4 KiB aligned, with whatever stands above the host address width.
    public var directory: PhysicalAddress { PhysicalAddress(low & ~0xfff) }
    /// RID_PASID: what untagged requests are looked up under.
    public var ridPASID: PASID { PASID(UInt32(truncatingIfNeeded: high) & PASID.maximum)! }
    /// RID_PRIV: untagged requests are privileged.
    public var untaggedIsPrivileged: Bool { high & 1 << 20 != 0 }

    /// True when the directory has an entry for `pasid`.
    public func reaches(_ pasid: PASID) -> Bool { VTDLookupIndex.directory(pasid) < directoryEntryCount }
}
