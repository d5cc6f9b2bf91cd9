import IOMMUModel

/// A PASID-table entry (VT-d 9.6): 64 bytes, one per PASID, 64 in a table. It says where the addresses of a device's
/// requests with that PASID go.
@frozen
public struct VTDPASIDEntry: Sendable, Hashable {
    /// Word 0: kind of translation and the second stage.
    public var word0: UInt64
    /// Word 1: the cache tag, snooping and memory types.
    public var word1: UInt64
    /// Word 2: the first stage.
    public var word2: UInt64
    /// Words 3 to 7. Reserved, but for the host permission table in words 4 and 5 of units that have one.
    public var word3: UInt64, word4: UInt64, word5: UInt64, word6: UInt64, word7: UInt64

    /// Any words.
    @inlinable public init(_ word0: UInt64, _ word1: UInt64 = 0, _ word2: UInt64 = 0) {
        self.word0 = word0
        self.word1 = word1
        self.word2 = word2
        (word3, word4, word5, word6, word7) = (0, 0, 0, 0, 0)
    }

    /// The eight words at `words`.
    init(_ words: UnsafeMutablePointer<UInt64>) {
        (word0, word1, word2, word3) = (words[0], words[1], words[2], words[3])
        (word4, word5, word6, word7) = (words[4], words[5], words[6], words[7])
    }

    /// The PASID Granular Translation Type, bits 8:6 of word 0. Other codes are reserved.
    public enum TranslationType: UInt64, Sendable, Hashable, CaseIterable {
        /// Through first-stage tables; needs ECAP.FSTS.
        case firstStage = 1
        /// Through second-stage tables; needs ECAP.SSTS.
        case secondStage = 2
        /// Through first-stage tables of the guest, whose addresses go through the second stage; needs ECAP.NEST.
        case nested = 3
        /// Addresses pass unchanged; needs ECAP.PT.
        case passThrough = 4
    }

    /// Present, bit 0.
    public static let p = BitField("P", bit: 0)
    /// Fault Processing Disable, bit 1.
    public static let fpd = BitField("FPD", bit: 1)
    /// Address width of the second stage, bits 4:2, coded as in a context entry.
    public static let aw = BitField("AW", 4, 2)
    /// Second-stage execute enable, bit 5; reserved since revision 4.0.
    public static let ssee = BitField("SSEE", bit: 5)
    /// PASID Granular Translation Type, bits 8:6.
    public static let pgtt = BitField("PGTT", 8, 6)
    /// Second-stage accessed and dirty bits are updated, bit 9; needs ECAP.SSADS.
    public static let ssade = BitField("SSADE", bit: 9)
    /// Second-stage page-table pointer, bits 63:12.
    public static let ssptptr = BitField("SSPTPTR", 63, 12, isAddress: true)
    /// Domain id, bits 15:0 of word 1.
    public static let did = BitField("DID", word: 1, 15, 0)
    /// Walks snoop the processor's caches, bit 23 of word 1; needs ECAP.SMPWCS.
    public static let pwsnp = BitField("PWSNP", word: 1, bit: 23)
    /// Requests snoop the processor's caches, bit 24 of word 1; needs ECAP.SC.
    public static let pgsnp = BitField("PGSNP", word: 1, bit: 24)
    /// First-stage paging mode, bits 3:2 of word 2: 0 four levels, 1 five (needs CAP.FS5LP), others reserved.
    public static let fspm = BitField("FSPM", word: 2, 3, 2)
    /// Supervisor requests are allowed, bit 0 of word 2; needs ECAP.SRS.
    public static let sre = BitField("SRE", word: 2, bit: 0)
    /// Write protection holds for supervisor requests, bit 4 of word 2.
    public static let wpe = BitField("WPE", word: 2, bit: 4)
    /// Execute-disable is a first-stage bit, bit 5 of word 2.
    public static let nxe = BitField("NXE", word: 2, bit: 5)
    /// Extended accessed flags are updated, bit 7 of word 2; needs ECAP.EAFS.
    public static let eafe = BitField("EAFE", word: 2, bit: 7)
    /// First-stage page-table pointer, bits 63:12 of word 2; an address of the guest when nested.
    public static let fsptptr = BitField("FSPTPTR", word: 2, 63, 12, isAddress: true)

    /// Fields and reserved bits of the entry (VT-d 9.6). What a unit lacks is reserved too; see ``VTDReservedBits``.
    public static let layout = StructureLayout(
        name: "vtd.pasid", wordCount: 8,
        fields: [
            p, fpd, aw, ssee, pgtt, ssade, ssptptr, did, pwsnp, pgsnp, BitField("CD", word: 1, bit: 25),
            BitField("EMTE", word: 1, bit: 26), BitField("EMT", word: 1, 29, 27), BitField("PWT", word: 1, bit: 30),
            BitField("PCD", word: 1, bit: 31), BitField("PAT", word: 1, 63, 32), sre, BitField("ERE", word: 2, bit: 1),
            fspm, wpe, nxe, BitField("SMEP", word: 2, bit: 6), eafe, fsptptr,
        ],
        reserved: [BitRange(11, 10), BitRange(word: 1, 22, 16), BitRange(word: 2, 11, 8)]
            + (3..<8).map { BitRange(word: $0, 63, 0) }, source: "VT-d 9.6")

    /// Size in bytes.
    public static let byteCount: UInt64 = 64

    /// The eight words.
    public var words: [UInt64] { [word0, word1, word2, word3, word4, word5, word6, word7] }

    /// P is set: otherwise the hardware looks at no other bit but FPD.
    public var isPresent: Bool { word0 & 1 != 0 }
    /// Nothing but FPD is set: how a driver leaves an entry whose faults shall not be recorded.
    public var isEmpty: Bool { word0 & ~2 | word1 | word2 | word3 | word4 | word5 | word6 | word7 == 0 }
    /// Fault Processing Disable; counts in a not-present entry too.
    public var faultProcessingDisabled: Bool { word0 & 2 != 0 }
    /// The raw PGTT field, 0 to 7.
    public var translationTypeCode: UInt8 { UInt8(truncatingIfNeeded: Self.pgtt.value(in: word0)) }
    /// PGTT, or `nil` for a reserved code.
    public var translationType: TranslationType? { TranslationType(rawValue: Self.pgtt.value(in: word0)) }
    /// The raw AW field, 0 to 7.
    public var addressWidthCode: UInt8 { UInt8(truncatingIfNeeded: Self.aw.value(in: word0)) }
    /// Width of the second stage, or `nil` for a code that has none.
    public var addressWidth: VTDAddressWidth? { VTDAddressWidth(rawValue: addressWidthCode) }
    /// SSADE: walks update the accessed and dirty bits of the second stage.
    public var secondStageAccessedDirty: Bool { word0 & 1 << 9 != 0 }
    /// Root of the second stage, 4 KiB aligned.
    public var secondStageRoot: PhysicalAddress { PhysicalAddress(word0 & ~0xfff) }
    /// The domain id: with the PASID or alone the tag of the unit's caches.
    public var domainID: UInt16 { UInt16(truncatingIfNeeded: word1) }
    /// The raw FSPM field, 0 to 3.
    public var firstStageModeCode: UInt8 { UInt8(truncatingIfNeeded: Self.fspm.value(in: word2)) }
    /// SRE: supervisor requests are allowed.
    public var allowsSupervisor: Bool { word2 & 1 != 0 }
    /// NXE: execute-disable is a first-stage bit.
    public var executeDisable: Bool { word2 & 1 << 5 != 0 }
    /// Root of the first stage, 4 KiB aligned; an address of the guest when nested.
    public var firstStageRoot: PhysicalAddress { PhysicalAddress(word2 & ~0xfff) }
}
