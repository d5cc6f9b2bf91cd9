import IOMMUModel
import PageTables
import Testing

/// VT-d second-stage entries (VT-d 9.8), each rule once.
struct VTDSecondStageTests {
    struct Case: Sendable {
        var level: Int
        var word: UInt64
        var kind: PageTableEntry.Kind
        var configuration = PageTablesTests.configuration(bits: 57)
    }

    static let cases: [Case] = [
        Case(level: 0, word: 0, kind: .empty),
        Case(level: 0, word: 0x1000, kind: .empty),
        Case(level: 1, word: 0x20_0080, kind: .empty),
        Case(level: 0, word: 0x1004, kind: .empty),
        // Reserved bits do not count while the entry is not present.
        Case(level: 3, word: 0x4000_0000_0000_0880, kind: .empty),
        Case(level: 0, word: 0x1083, kind: .leaf(PhysicalAddress(0x1000), pageSizeLog2: 12)),
        Case(level: 0, word: 0x1001, kind: .leaf(PhysicalAddress(0x1000), pageSizeLog2: 12)),
        Case(level: 0, word: 0x1002, kind: .leaf(PhysicalAddress(0x1000), pageSizeLog2: 12)),
        Case(level: 0, word: 0x3, kind: .leaf(PhysicalAddress(0), pageSizeLog2: 12)),
        Case(level: 0, word: 0xbff0_0000_0000_147f, kind: .leaf(PhysicalAddress(0x1000), pageSizeLog2: 12)),
        Case(level: 0, word: 0x4000_0000_0000_1003, kind: .invalid(.reservedBits)),
        Case(
            level: 0, word: 0x4000_0000_0000_1003, kind: .leaf(PhysicalAddress(0x1000), pageSizeLog2: 12),
            configuration: configuration(bits: 57, deviceTLB: true)),
        Case(
            level: 1, word: 0x4000_0000_0000_5003, kind: .invalid(.reservedBits),
            configuration: configuration(bits: 57, deviceTLB: true)),
        Case(level: 1, word: 0x5803, kind: .invalid(.reservedBits)),
        Case(level: 0, word: 0x1803, kind: .leaf(PhysicalAddress(0x1000), pageSizeLog2: 12)),
        Case(
            level: 0, word: 0x1803, kind: .invalid(.reservedBits),
            configuration: configuration(bits: 57, snoopControl: false)),
        Case(level: 3, word: 0x5083, kind: .invalid(.reservedBits)),
        Case(level: 4, word: 0x5083, kind: .invalid(.reservedBits)),
        Case(level: 1, word: 0x20_0083, kind: .leaf(PhysicalAddress(0x20_0000), pageSizeLog2: 21)),
        Case(level: 1, word: 0x20_1083, kind: .invalid(.reservedBits)),
        Case(level: 2, word: 0x4000_0083, kind: .leaf(PhysicalAddress(0x4000_0000), pageSizeLog2: 30)),
        Case(level: 2, word: 0x4020_0083, kind: .invalid(.reservedBits)),
        Case(
            level: 1, word: 0x20_0083, kind: .invalid(.reservedBits),
            configuration: configuration(bits: 57, supports2M: false)),
        Case(
            level: 2, word: 0x4000_0083, kind: .invalid(.reservedBits),
            configuration: configuration(bits: 57, supports1G: false)),
        Case(
            level: 0, word: 0x4000_0000_1003, kind: .invalid(.reservedBits),
            configuration: configuration(bits: 57, haw: 46)),
        Case(
            level: 1, word: 0x4000_0000_5003, kind: .invalid(.reservedBits),
            configuration: configuration(bits: 57, haw: 46)),
        Case(
            level: 0, word: 0x2000_0000_1003, kind: .leaf(PhysicalAddress(0x2000_0000_1000), pageSizeLog2: 12),
            configuration: configuration(bits: 57, haw: 46)),
        Case(level: 1, word: 0x5001, kind: .table(PhysicalAddress(0x5000), nextLevel: 0)),
        Case(level: 4, word: 0x5703, kind: .table(PhysicalAddress(0x5000), nextLevel: 3)),
    ]

    @Test(arguments: cases.indices)
    func `A word means what VT-d 9_8 says`(_ index: Int) {
        let sample = Self.cases[index]
        let entry = PageTableEntry.decode(sample.word, level: sample.level, configuration: sample.configuration)
        #expect(entry.kind == sample.kind)
        let present = entry.kind != .empty && entry.kind != .invalid(.reservedBits)
        #expect(entry.protection.rawValue == (present ? UInt8(sample.word & 3) : 0))
        #expect(entry.nonZeroNotPresent == (entry.kind == .empty && sample.word != 0))
        #expect(entry.ignoredBits == (present ? sample.word & 0xbff0_0000_0000_0400 : 0))
    }

    @Test func `Accessed, dirty and snoop are told apart`() {
        let entry = PageTableEntry.decode(0x1b03, level: 0, configuration: configuration(bits: 48))
        #expect(entry.accessed && entry.dirty && entry.snoop)
        let table = PageTableEntry.decode(0x1303, level: 1, configuration: configuration(bits: 48))
        #expect(table.accessed && !table.dirty && !table.snoop)
    }

    /// A flipped bit in any reserved position is reported, in any other position it is not.
    @Test(arguments: 0...4)
    func `Exactly the reserved bits make a present entry invalid`(_ level: Int) {
        for haw in [36, 46, 52] {
            for (snoop, deviceTLB) in [(false, false), (true, true)] {
                let shape = configuration(bits: 57, haw: haw, snoopControl: snoop, deviceTLB: deviceTLB)
                for leaf in [true, false] where leaf ? level <= 2 : level > 0 {
                    let word: UInt64 = leaf && level > 0 ? 0x83 : 3
                    for bit in 2..<64 where bit != 7 {
                        let kind = PageTableEntry.decode(word | 1 << UInt64(bit), level: level, configuration: shape)
                            .kind
                        let reserved =
                            (haw..<52).contains(bit) || bit == 62 && !(leaf && deviceTLB)
                            || bit == 11 && !(leaf && snoop) || leaf && (12..<12 + 9 * level).contains(bit)
                        #expect((kind == .invalid(.reservedBits)) == reserved, "bit \(bit) haw \(haw) leaf \(leaf)")
                    }
                }
            }
        }
    }

    @Test func `Entries are encoded as Linux writes them`() throws {
        let shape = configuration(bits: 57)
        func leaf(_ address: UInt64, _ log2: Int, _ level: Int, _ protection: Protection, options: MapOptions = [])
            throws -> UInt64
        {
            try PageTableEntry.encodeLeaf(
                PhysicalAddress(address), pageSizeLog2: log2, level: level, protection: protection, options: options,
                configuration: shape)
        }
        #expect(try leaf(0x1000, 12, 0, .readWrite) == 0x1003)
        #expect(try leaf(0x1000, 12, 0, .write, options: .snoop) == 0x1802)
        #expect(try leaf(0x20_0000, 21, 1, .read) == 0x20_0081)
        #expect(try leaf(0xf_ffff_c000_0000, 30, 2, .readWrite) == 0xf_ffff_c000_0083)
        #expect(throws: EncodingRefusal.noAccess) { try leaf(0x1000, 12, 0, []) }
        #expect(throws: EncodingRefusal.invalidPageSize) { try leaf(0, 39, 3, .readWrite) }
        #expect(throws: EncodingRefusal.invalidPageSize) { try leaf(0, 16, 0, .readWrite) }
        #expect(throws: EncodingRefusal.misaligned) { try leaf(0x1000, 21, 1, .readWrite) }
        #expect(throws: EncodingRefusal.addressTooWide) { try leaf(1 << 52, 12, 0, .readWrite) }
        #expect(throws: EncodingRefusal.snoopUnsupported) {
            try PageTableEntry.encodeLeaf(
                PhysicalAddress(0), pageSizeLog2: 12, level: 0, protection: .read, options: .snoop,
                configuration: configuration(bits: 48, snoopControl: false))
        }
        for level in 1...4 {
            #expect(
                try PageTableEntry.encodeTable(PhysicalAddress(0x5000), level: level, configuration: shape) == 0x5003)
        }
        #expect(throws: EncodingRefusal.invalidLevel) {
            try PageTableEntry.encodeTable(PhysicalAddress(0x5000), level: 0, configuration: shape)
        }
        #expect(throws: EncodingRefusal.misaligned) {
            try PageTableEntry.encodeTable(PhysicalAddress(0x5008), level: 1, configuration: shape)
        }
    }
}
