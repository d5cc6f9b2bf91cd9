import IOMMUModel
import PageTables
import Testing

/// Entries of AMD v1 and x86-64 beyond the known-answer vectors, which have each rule once.
struct FormatEntryTests {
    typealias Kind = PageTableEntry.Kind

    static let amd = PageTableConfiguration(format: .amdV1, topLevel: 5)!

    static func decode(_ word: UInt64, _ level: Int, _ configuration: PageTableConfiguration) -> PageTableEntry {
        PageTableEntry.decode(word, level: level, configuration: configuration)
    }

    /// A flipped bit in any reserved position is reported, in any other position it is not.
    @Test(arguments: 0...5)
    func `AMD v1: exactly the reserved bits make a present entry invalid`(level: Int) {
        for word in [0x6000_0000_0000_0001, 0x6000_0000_0000_0001 | UInt64(level) << 9] as [UInt64] {
            let isLeaf = word & 0xe00 == 0
            for bit in 1..<64 where !(9...11).contains(bit) && (!isLeaf || level < 5) {
                let kind = Self.decode(word | 1 << UInt64(bit), level, Self.amd).kind
                let reserved = (52...(isLeaf ? 58 : 60)).contains(bit)
                #expect((kind == .invalid(.reservedBits)) == reserved, "bit \(bit) leaf \(isLeaf)")
            }
        }
    }

    /// Against the definition: a run of ones from bit 12, ended by one zero.
    @Test(arguments: 0...4, [nil, 47, 51])
    func `AMD v1: a size code means what it says at every level, the C-bit aside`(level: Int, encryptionBit: Int?) {
        let shape = PageTableConfiguration(format: .amdV1, topLevel: 5, encryptionBit: encryptionBit)!
        for zero in 12...52 {
            let ones: UInt64 = (1 << UInt64(zero) - 1) & 0xf_ffff_ffff_f000
            for high in [0, 0x5_5555_5555_5000, 0xf_ffff_ffff_f000] as [UInt64] {
                let above = high & ~(zero > 51 ? .max : 2 << UInt64(zero) - 1)
                let word = 0x6000_0000_0000_0e01 | ones | above
                // Known as no part of the address, the C-bit reads as the zero.
                let known = encryptionBit ?? 64
                let first = known < zero ? known : zero
                let log2 = first + 1
                let fits = first < 52 && log2 > 12 + 9 * level && log2 < 21 + 9 * level
                let cleared = known < 64 ? word & ~(1 << UInt64(known)) : word
                let address = cleared & 0xf_ffff_ffff_f000 & (~0 << UInt64(log2))
                let kind: Kind =
                    fits ? .leaf(PhysicalAddress(address), pageSizeLog2: log2) : .invalid(.invalidPageSize)
                #expect(Self.decode(word, level, shape).kind == kind, "zero at \(zero)")
            }
        }
    }

    @Test func `AMD v1: a table entry names any lower level, and what it skips`() {
        for level in 0...5 {
            for code in 1...6 {
                let entry = Self.decode(0x6000_0000_0000_5001 | UInt64(code) << 9, level, Self.amd)
                if code <= level {
                    #expect(entry.kind == .table(PhysicalAddress(0x5000), nextLevel: code - 1))
                    #expect(Array(entry.skippedLevels) == Array(code..<level))
                } else {
                    #expect(entry.kind == .invalid(.invalidLevel))
                    #expect(entry.skippedLevels.isEmpty)
                }
            }
        }
    }

    @Test func `AMD v1: what is suspicious is told, each by its name`() {
        func lints(_ word: UInt64, _ level: Int) -> [String] { Self.decode(word, level, Self.amd).lints.names }
        #expect(lints(0x6000_0000_0020_0001, 1) == [])
        #expect(lints(0x6000_0000_0020_1001, 1) == ["misaligned"])
        // A sized leaf has its size where the address is not.
        #expect(lints(0x6000_0000_005f_fe01, 1) == [])
        #expect(lints(0x6000_0080_0000_0001, 3) == ["erratum512G"])
        #expect(lints(0x6000_017f_ffff_fe01, 3) == [])
        #expect(lints(0x0000_0000_0000_1001, 0) == ["noAccess"])
        #expect(lints(0x0000_0080_0000_1003, 3) == ["misaligned", "erratum512G", "ignoredBitsSet", "noAccess"])
        #expect(lints(0x0000_0000_0000_1e00, 0) == ["nonZeroNotPresent"])
        for bit in [1, 2, 3, 4, 6, 7, 8, 63] as [UInt64] {
            #expect(lints(0x6000_0000_0000_5201 | 1 << bit, 1) == ["ignoredBitsSet"])
            #expect(lints(0x6000_0000_0000_5001 | 1 << bit, 0) == (bit == 6 ? [] : ["ignoredBitsSet"]))
        }
        // A table without rights is no leaf without access.
        #expect(lints(0x0000_0000_0000_5201, 1) == [])
    }

    /// A flipped bit in any reserved position is reported, in any other position it is not.
    @Test(arguments: 0...4, [36, 46, 52])
    func `x86-64: exactly the reserved bits make a present entry invalid`(level: Int, haw: Int) {
        for encryptionBit in [nil, 40, 51] as [Int?] {
            for noExecute in [true, false] {
                let shape = PageTableConfiguration(
                    format: .x86_64, topLevel: 4, hostAddressWidth: haw, noExecute: noExecute,
                    encryptionBit: encryptionBit)!
                for leaf in [true, false] where leaf ? level <= 2 : level > 0 {
                    let word: UInt64 = leaf && level > 0 ? 0x87 : 0x7
                    for bit in 1..<64 where bit != 7 || level == 0 {
                        let kind = Self.decode(word | 1 << UInt64(bit), level, shape).kind
                        let reserved =
                            (haw..<52).contains(bit) && bit != encryptionBit || bit == 63 && !noExecute
                            || leaf && level > 0 && (13..<12 + 9 * level).contains(bit)
                        #expect((kind == .invalid(.reservedBits)) == reserved, "bit \(bit) leaf \(leaf)")
                    }
                }
            }
        }
    }

    @Test func `x86-64: a leaf is where its size exists, and nowhere else`() {
        for (supports2M, supports1G) in [(true, true), (false, true), (true, false)] {
            let shape = PageTableConfiguration(
                format: .x86_64, topLevel: 4, supports2M: supports2M, supports1G: supports1G)!
            for level in 1...4 {
                let kind = Self.decode(0x4000_00e7, level, shape).kind
                let exists = level == 1 && supports2M || level == 2 && supports1G
                #expect(
                    kind
                        == (exists
                            ? .leaf(PhysicalAddress(0x4000_0000), pageSizeLog2: 12 + 9 * level)
                            : .invalid(.reservedBits)))
            }
        }
    }
}
