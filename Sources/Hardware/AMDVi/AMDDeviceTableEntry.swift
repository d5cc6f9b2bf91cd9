import IOMMUModel

/// A device table entry, DTE (AMD 48882 2.2.2.1): 32 bytes, one per requester id.
///
/// Words 0 and 1 decide about memory requests and count when V is set; words 2 and 3 decide about interrupts and count
/// when IV is set, but for the guest paging mode, which stands in word 2.
@frozen
public struct AMDDeviceTableEntry: Sendable, Hashable {
    /// Translation: validity, mode, host tables, guest translation, rights.
    public var word0: UInt64
    /// Domain id, the rest of the GCR3 table's address, handling of faults.
    public var word1: UInt64
    /// Interrupt remapping and guest paging mode.
    public var word2: UInt64
    /// Attributes of snooping.
    public var word3: UInt64

    /// Any four words.
    @inlinable public init(word0: UInt64, word1: UInt64, word2: UInt64 = 0, word3: UInt64 = 0) {
        self.word0 = word0
        self.word1 = word1
        self.word2 = word2
        self.word3 = word3
    }

    /// Size in bytes.
    public static let byteCount: UInt64 = 32

    /// In order.
    public var words: [UInt64] { [word0, word1, word2, word3] }

    /// V: otherwise requests pass unchanged and the hardware looks at no other bit of words 0 and 1.
    public var isValid: Bool { word0 & 1 != 0 }
    /// TV: words 0 and 1 hold translation information; valid without it, every memory request faults.
    public var translationValid: Bool { word0 & 2 != 0 }
    /// HAD, 0 to 3: 1 the unit sets accessed bits in host tables, 3 dirty bits too, 0 neither; 2 is reserved.
    public var hostAccessedDirtyCode: UInt8 { UInt8(truncatingIfNeeded: word0 &>> 7 & 3) }
    /// Mode, 0 to 7: levels of the host tables, 0 for none; 7 is reserved.
    public var mode: Int { Int(truncatingIfNeeded: word0 &>> 9 & 7) }
    /// Root of the host tables, 4 KiB aligned, with whatever stands in the C-bit; of no account in mode 0.
    public var hostRoot: PhysicalAddress { PhysicalAddress(word0 & 0x000f_ffff_ffff_f000) }
    /// GIoV: requests without a PASID use the guest tables of PASID 0. Means nothing without ``guestTranslation``.
    public var guestIOProtection: Bool { word0 &>> 54 & 1 != 0 }
    /// GV: requests with a PASID use guest tables.
    public var guestTranslation: Bool { word0 &>> 55 & 1 != 0 }
    /// GLX, 0 to 3: levels of the GCR3 table minus 1; 3 is reserved.
    public var guestLevelsCode: Int { Int(truncatingIfNeeded: word0 &>> 56 & 3) }
    /// IR and IW: what a device may do at most.
    public var protection: Protection { Protection(rawValue: UInt8(truncatingIfNeeded: word0 &>> 61 & 3)) }

    /// DomainID: the tag of the unit's caches.
    public var domainID: UInt16 { UInt16(truncatingIfNeeded: word1) }
    /// I: the device may have an IOTLB (ATS).
    public var allowsDeviceTLB: Bool { word1 &>> 32 & 1 != 0 }
    /// SE: of the page faults of one device after the first, none is logged.
    public var suppressesRepeatedFaults: Bool { word1 &>> 33 & 1 != 0 }
    /// SA: no page fault is logged.
    public var suppressesFaults: Bool { word1 &>> 34 & 1 != 0 }

    /// The root of the GCR3 table, 4 KiB aligned, put together from its three places, with whatever stands in the C-bit.
    public var gcr3Root: PhysicalAddress {
        PhysicalAddress(
            (word0 &>> 58 & 7) &<< 12 | (word1 &>> 16 & 0xffff) &<< 15 | (word1 &>> 43) &<< 31)
    }

    /// IV: words 2 and 3 hold interrupt information.
    public var interruptMapValid: Bool { word2 & 1 != 0 }
    /// GuestPagingMode, 0 to 3: 0 four, 1 five levels of guest tables; 2 and 3 are reserved.
    public var guestPagingModeCode: Int { Int(truncatingIfNeeded: word2 &>> 54 & 3) }

    /// All four words are 0.
    public var isZero: Bool { word0 | word1 | word2 | word3 == 0 }

    /// Valid, translates nothing and lets nothing pass (V = TV = 1, GV = 0, mode 0, IR = IW = 0, no reserved bit): how
    /// drivers fill the entries of requesters that they know nothing of, and block devices.
    public var isBlocked: Bool {
        // HostPTRoot, PPR, GPRP, GIoV, GLX and GCR3 mean nothing in it.
        word0 & 0xe080_0000_0000_0e7f == 3 && !hasMemoryViolation
    }

    /// The reserved bits of words 0 and 1 that are set: in a valid entry every memory request faults with
    /// ILLEGAL_DEV_TABLE_ENTRY.
    public var memoryViolations: [BitRange] { Self.layout.violations([word0, word1, 0, 0]) }

    /// The reserved bits of words 2 and 3 that are set: they fault interrupts only, and only when IV is set.
    public var interruptViolations: [BitRange] { Self.layout.violations([0, 0, word2, word3]) }

    /// True when ``memoryViolations`` is not empty; allocates nothing.
    public var hasMemoryViolation: Bool {
        word0 & 0x8000_0000_0000_007c | word1 & 0x0000_0400_0000_0000 != 0
    }
}
