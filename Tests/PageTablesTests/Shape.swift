import IOMMUModel
import PageTables
import Testing

/// One configuration of one format, and what of its format the tests need to know.
struct Shape: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var configuration: PageTableConfiguration

    init(_ name: String, _ configuration: PageTableConfiguration?) {
        testDescription = name
        self.configuration = configuration!
    }

    /// Those of the kernel's KUnit suites (reference/page-table-formats.md section 4).
    static let all = [
        Shape("amdv1, grows", .init(format: .amdV1, topLevel: 2)),
        Shape("amdv1, 32 bits", .init(format: .amdV1, topLevel: 2, addressBits: 32)),
        Shape("vtdss 39", .init(topLevel: 2)), Shape("vtdss 48", .init(topLevel: 3)),
        Shape("vtdss 57", .init(topLevel: 4)),
        Shape("x86_64 48 SE", .init(format: .x86_64, topLevel: 3, signExtended: true)),
        Shape("x86_64 57 SE", .init(format: .x86_64, topLevel: 4, signExtended: true)),
        Shape("x86_64 47", .init(format: .x86_64, topLevel: 3, addressBits: 47)),
        Shape("x86_64 56", .init(format: .x86_64, topLevel: 4, addressBits: 56)),
        Shape("armv8 s2 39", .init(format: .armv8Stage2, topLevel: 2)),
        Shape("armv8 s2 44", .init(format: .armv8Stage2, topLevel: 3, addressBits: 44)),
        Shape("armv8 s2 48", .init(format: .armv8Stage2, topLevel: 3)),
    ]

    /// Six levels, of which the root has but 128 slots.
    static let wideAMD = Shape("amdv1 64", .init(format: .amdV1, topLevel: 5))

    /// As ``all``, with output addresses of `haw` bits, and with the C-bit at `encryptionBit` where a format has one.
    static func all(haw: Int, encryptionBit: Int? = nil) -> [Shape] {
        all.map { $0.with(haw: haw, encryptionBit: encryptionBit) }
    }

    /// The same tree with other capabilities.
    func with(
        haw: Int = 52, supports2M: Bool = true, supports1G: Bool = true, encryptionBit: Int? = nil,
        rootProtection: Protection = .readWrite, accessedDirty: Bool = false
    ) -> Shape {
        let old = configuration
        return Shape(
            testDescription,
            PageTableConfiguration(
                format: old.format, topLevel: old.topLevel, addressBits: old.addressBits,
                maximumAddressBits: old.maximumAddressBits, hostAddressWidth: haw, supports2M: supports2M,
                supports1G: supports1G, signExtended: old.signExtended, encryptionBit: encryptionBit,
                rootProtection: rootProtection, accessedDirty: accessedDirty, accessFlagFaults: !accessedDirty))
    }

    /// Entries have a C-bit.
    var hasEncryption: Bool { [.amdV1, .x86_64].contains(configuration.format) }
    var isArm: Bool { configuration.format == .armv8Stage2 }
    var isAMD: Bool { configuration.format == .amdV1 }

    /// The widest that the tree can become.
    var bits: Int { configuration.maximumAddressBits }

    /// The last input address of the widest tree.
    var lastIOVA: UInt64 { configuration.signExtended ? .max : UInt64.max >> UInt64(64 - bits) }

    /// One past the last input address of the lower half, or of all.
    var lowEnd: UInt64 { configuration.signExtended ? 1 << UInt64(bits - 1) : lastIOVA &+ 1 }

    /// The logarithms of all leaf sizes, ascending.
    var sizes: [Int] { (0..<64).filter { configuration.pageSizes >> UInt64($0) & 1 == 1 } }

    /// The table level that leaves of `2^log2` bytes stand in.
    static func level(ofSize log2: Int) -> Int { (log2 - 12) / 9 }

    /// What a mapping with `protection` lets a device do: on x86-64 write implies read.
    func effective(_ protection: Protection) -> Protection {
        configuration.format == .x86_64 && protection.contains(.write) ? .readWrite : protection
    }

    /// Output addresses that an entry may be given.
    var addresses: UInt64 { configuration.lastPhysicalAddress.rawValue }

    /// KUnit's fixed output address, cut to a page of `2^log2` bytes that an entry may be given.
    func dense(_ log2: Int) -> UInt64 { 0x74a7_1445_dead_beef & addresses & (~0 << UInt64(log2)) }

    /// The word of a table entry, or of a leaf that can be read and written.
    func table(_ page: PhysicalAddress, level: Int) -> UInt64 {
        try! PageTableEntry.encodeTable(page, level: level, configuration: configuration)
    }

    func leaf(_ address: UInt64, _ log2: Int, _ protection: Protection = .readWrite) -> UInt64 {
        try! PageTableEntry.encodeLeaf(
            PhysicalAddress(address), pageSizeLog2: log2, level: Self.level(ofSize: log2), protection: protection,
            configuration: configuration)
    }

    /// A present word that faults in a table of any level above 0.
    var reservedWord: UInt64 {
        switch configuration.format {
        // TM in a table entry.
        case .vtdSecondStage: 1 << 62 | 0x5003
        case .amdV1: 1 << 52 | leaf(0x5000, 12)
        // A leaf of 4 KiB's address where there are larger ones or none.
        case .x86_64: 0x20_a0e7
        // A block without its access flag.
        case .armv8Stage2: 0x4000_00c1
        }
    }

    /// The bits of a leaf that a driver leaves to software.
    var softwareBits: [Int] {
        switch configuration.format {
        case .vtdSecondStage: [10] + Array(52...61) + [63]
        case .amdV1: Array(1...4) + [7, 8, 63]
        case .x86_64: [9, 11] + Array(52...62)
        case .armv8Stage2: Array(55...63)
        }
    }
}

/// A configuration of VT-d's second stage that is known to exist.
func configuration(
    bits: Int, haw: Int = 52, supports2M: Bool = true, supports1G: Bool = true, snoopControl: Bool = true,
    deviceTLB: Bool = false, accessedDirty: Bool = false
) -> PageTableConfiguration {
    PageTableConfiguration(
        topLevel: (bits - 12) / 9 - 1, addressBits: bits, hostAddressWidth: haw, supports2M: supports2M,
        supports1G: supports1G, snoopControl: snoopControl, deviceTLB: deviceTLB, accessedDirty: accessedDirty)!
}
