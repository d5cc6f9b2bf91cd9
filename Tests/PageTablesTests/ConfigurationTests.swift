import IOMMUModel
import PageTables
import Testing

struct ConfigurationTests {
    @Test func `A configuration that no hardware has cannot be made`() {
        func make(
            _ format: PageTableFormatKind, _ topLevel: Int, _ bits: Int? = nil, signExtended: Bool = false,
            encryptionBit: Int? = nil
        ) -> PageTableConfiguration? {
            PageTableConfiguration(
                format: format, topLevel: topLevel, addressBits: bits, signExtended: signExtended,
                encryptionBit: encryptionBit)
        }
        let levels: [PageTableFormatKind: ClosedRange<Int>] = [
            .vtdSecondStage: 2...4, .amdV1: 0...5, .x86_64: 3...4, .armv8Stage2: 1...3,
        ]
        for format in PageTableFormatKind.allCases {
            for top in -1...6 {
                #expect((make(format, top) != nil) == levels[format]!.contains(top))
                #expect(make(format, top, 11) == nil)
                #expect(make(format, top, 12 + 9 * (top + 1) + 1) == nil)
            }
            #expect(PageTableConfiguration.topLevels(of: format) == levels[format])
        }
        for bit in [-1, 0, 31, 52, 64] { #expect(make(.amdV1, 2, encryptionBit: bit) == nil) }
        #expect(make(.vtdSecondStage, 3, signExtended: true) == nil)
        #expect(make(.amdV1, 3, signExtended: true) == nil)
        #expect(make(.x86_64, 3, 47, signExtended: true) == nil)
        #expect(make(.x86_64, 3, 48, signExtended: true) != nil)
        #expect(make(.vtdSecondStage, 3, encryptionBit: 47)?.encryptionBit == nil)
        #expect(make(.armv8Stage2, 3, encryptionBit: 47)?.encryptionBit == nil)
        #expect(make(.armv8Stage2, 3, signExtended: true) == nil)
    }

    @Test func `What a configuration is not told has its most common value`() {
        #expect(PageTableConfiguration(topLevel: 3)?.addressBits == 48)
        #expect(PageTableConfiguration(format: .amdV1, topLevel: 5)?.addressBits == 64)
        #expect(configuration(bits: 48, haw: 300).hostAddressWidth == 52)
        #expect(configuration(bits: 48).pageSizes == 1 << 12 | 1 << 21 | 1 << 30)
        #expect(configuration(bits: 48, supports1G: false).pageSizes == 1 << 12 | 1 << 21)
        #expect(PageTableConfiguration(topLevel: 3, rootProtection: .read)?.rootProtection == .readWrite)
    }

    @Test func `The hardware changes accessed and dirty bits, and only when switched on`() {
        let masks: [PageTableFormatKind: UInt64] = [
            .vtdSecondStage: 0x300, .amdV1: 0x60, .x86_64: 0x60, .armv8Stage2: 0x400,
        ]
        for shape in Shape.all {
            #expect(shape.configuration.hardwareUpdatedMask == 0)
            #expect(
                shape.with(accessedDirty: true).configuration.hardwareUpdatedMask == masks[shape.configuration.format])
        }
    }

    @Test(arguments: Shape.all)
    func `Exactly the input addresses are in the ranges`(shape: Shape) {
        let ranges = shape.configuration.iovaRanges
        #expect(ranges.count == (shape.configuration.signExtended ? 2 : 1))
        #expect(ranges.last?.last == shape.configuration.lastIOVA)
        let bits = shape.configuration.addressBits
        for shift in 12..<64 {
            for iova in [1 << UInt64(shift), ~0 << UInt64(shift), 1 << UInt64(shift) - 1] as [UInt64] {
                // By the definition, bit by bit.
                let high = (bits..<64).map { iova >> UInt64($0) & 1 }
                let sign = iova >> UInt64(bits - 1) & 1
                let isInput = high.allSatisfy { $0 == (shape.configuration.signExtended ? sign : 0) }
                #expect(shape.configuration.contains(IOVA(iova)) == isInput)
                #expect(ranges.contains { $0.contains(IOVA(iova)) } == isInput)
            }
        }
    }
}
