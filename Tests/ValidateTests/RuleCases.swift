import Hardware
import IOMMUModel
import PageTables
import Snapshot

extension RuleCase {
    static let all: [RuleCase] = records + lookups + tables + areas

    private static func word(_ address: PhysicalAddress, _ number: UInt64 = 1) -> PhysicalAddress {
        PhysicalAddress(address.rawValue + number * 8)
    }

    private static let first = TestMachine.first
    private static let second = TestMachine.second

    private static let lookups: [RuleCase] = [
        RuleCase(rule: .vtdRootTableAddress, name: "a reserved bit in the register") {
            $0.snapshot.units[0].registers[3].value |= 1
            return nil
        },
        RuleCase(rule: .vtdRootTableAddress, name: "no register") {
            $0.snapshot.units[0].registers.removeAll { $0.name == "rtaddr" }
            return nil
        },
        RuleCase(rule: .vtdTranslationMode, name: "translation off") {
            $0.snapshot.units[0].registers[2].value = 0
            return nil
        },
        RuleCase(rule: .vtdTranslationMode, name: "abort-DMA mode") {
            $0.snapshot.units[0].registers[3].value |= 3 << 10
            return nil
        },
        RuleCase(rule: .vtdRootReserved, name: "second word not zero", device: RequesterID(segment: 0, rid: 0)) {
            $0.write(1, word($0.rootTable))
            try $0.record()
            return word($0.rootTable)
        },
        RuleCase(
            rule: .vtdContextTableUnreachable, name: "a table outside memory",
            device: RequesterID(segment: 0, rid: 0x700)
        ) {
            $0.write(0x77_7000_0001, word($0.rootTable, 14))
            try $0.record()
            return word($0.rootTable, 14)
        },
        RuleCase(
            rule: .lookupPageUnknown, name: "a table that is not recorded", device: RequesterID(segment: 0, rid: 0x700)
        ) {
            let frame = $0.frame()
            $0.write(frame.rawValue | 1, word($0.rootTable, 14))
            try $0.record()
            return word($0.rootTable, 14)
        },
        RuleCase(rule: .vtdContextReserved, name: "a reserved bit of the second word", device: first) {
            let place = word($0.contextEntry(first))
            $0.write($0.read(place) | 1 << 40, place)
            try $0.record()
            return place
        },
        RuleCase(rule: .vtdContextReserved, name: "a root above the host address width", device: first) {
            let place = $0.contextEntry(first)
            $0.write($0.read(place) | 1 << 47, place)
            try $0.record()
            return place
        },
        RuleCase(rule: .vtdContextTranslationType, name: "the reserved type", device: first) {
            let place = $0.contextEntry(first)
            $0.write($0.read(place) | 3 << 2, place)
            try $0.record()
            return place
        },
        RuleCase(rule: .vtdContextTranslationType, name: "a device-TLB that the unit has not", device: first) {
            let place = $0.contextEntry(first)
            $0.write($0.read(place) | 1 << 2, place)
            try $0.record()
            return place
        },
        RuleCase(rule: .vtdContextAddressWidth, name: "57 bits", device: first) {
            let place = word($0.contextEntry(first))
            $0.write($0.read(place) | 3, place)
            try $0.record()
            return place
        },
        RuleCase(rule: .cacheTagCollision, name: "one DID, two roots", device: second) {
            let place = word($0.contextEntry(second))
            $0.write($0.read(place) & ~0xff00 | 5 << 8, place)
            $0.snapshot.attachments[1].cacheTag = 5
            try $0.record()
            return place
        },
        RuleCase(rule: .cacheTagCollision, name: "one DID, two roots, in the records only", device: second) {
            $0.snapshot.attachments[1].cacheTag = 5
            $0.snapshot.devices[1].preserved = false
            $0.enter(second, VTDContextEntry(low: 0, high: 0))
            try $0.record()
            return nil
        },
        RuleCase(rule: .attachmentEntryDiffers, name: "another domain", device: first) {
            $0.snapshot.attachments[0].domain = DomainID(2)
            return $0.contextEntry(first)
        },
        RuleCase(rule: .attachmentEntryDiffers, name: "another cache tag", device: first) {
            $0.snapshot.attachments[0].cacheTag = 99
            return word($0.contextEntry(first))
        },
        RuleCase(rule: .attachmentEntryDiffers, name: "a PASID in the cache key", device: first) {
            $0.snapshot.attachments[0].cachePASID = PASID(0)
            return word($0.contextEntry(first))
        },
        RuleCase(rule: .attachmentEntryDiffers, name: "pass-through in memory", device: second) {
            $0.enter(second, VTDContextEntry(passThroughWith: .bits48, domainID: 6))
            try $0.record()
            return $0.contextEntry(second)
        },
        RuleCase(rule: .attachmentEntryDiffers, name: "an entry that is gone", device: second) {
            $0.enter(second, VTDContextEntry(low: 0, high: 0))
            try $0.record()
            return $0.contextEntry(second)
        },
        RuleCase(rule: .attachmentEntryDiffers, name: "an attachment that is gone", device: second) {
            $0.snapshot.attachments.remove(at: 1)
            return $0.contextEntry(second)
        },
        RuleCase(rule: .unpreservedEntryLeft, name: "a device that was not preserved", device: second) {
            $0.snapshot.devices[1].preserved = false
            return $0.contextEntry(second)
        },
    ]

    private static let tables: [RuleCase] = [
        RuleCase(rule: .tableReservedBits, name: "a misaligned 2M leaf", device: first, iova: 0x20_0000) {
            let place = $0.entry(0, 0x20_0000, level: 1)
            $0.write($0.read(place) | 1 << 13, place)
            try $0.record()
            return place
        },
        RuleCase(rule: .tableOutsideMemory, name: "a pointer to nowhere", device: first, iova: 0x8000_0000) {
            let place = $0.entry(0, 0x8000_0000, level: 2)
            $0.write(0x777_0000_0003 & 0x3fff_ffff_ffff, place)
            try $0.record()
            return place
        },
        RuleCase(rule: .tablePageUnknown, name: "a page that is not recorded", device: first, iova: 0x8000_0000) {
            let place = $0.entry(0, 0x8000_0000, level: 2)
            $0.write(TestMachine.fileBase | 3, place)
            try $0.record()
            return place
        },
        RuleCase(
            rule: .tablePageUnknown, name: "a page that an image lacks", severity: .warning, device: first,
            iova: 0x8000_0000
        ) {
            let place = $0.entry(0, 0x8000_0000, level: 2)
            $0.write(TestMachine.fileBase | 3, place)
            try $0.record()
            $0.snapshot.origin = .imported
            return place
        },
        RuleCase(
            rule: .tableNonZeroNotPresent, name: "permissions cleared", severity: .warning, device: first,
            iova: 0x20_0000
        ) {
            let place = $0.entry(0, 0x20_0000, level: 1)
            $0.write($0.read(place) & ~3, place)
            try $0.record()
            return place
        },
        RuleCase(rule: .tableReused, name: "a table that points to itself", device: first, iova: 0x60_0000) {
            let place = $0.entry(0, 0x60_0000, level: 1)
            $0.write((place.rawValue & ~0xfff) | 3, place)
            try $0.record()
            return place
        },
        RuleCase(rule: .tableReused, name: "a table of another domain", device: second, iova: 0x4000_0000) {
            let place = $0.entry(1, 0x4000_0000, level: 2)
            $0.write($0.read($0.entry(0, 0, level: 2)) & ~0x7f8 | 3, place)
            try $0.record()
            return place
        },
        RuleCase(
            rule: .tableBudgetExceeded, name: "more table pages than may be read", device: first,
            iova: 0x7fff_c000_0000, limits: .init(scan: .init(pages: 4))
        ) { $0.entry(0, 0x7fff_c000_0000, level: 2) },
        RuleCase(rule: .tableLeafIntoTable, name: "a leaf to the root table", device: second, iova: 0x9000) {
            $0.map(1, 0x9000, $0.rootTable.rawValue, pages: 1)
            $0.snapshot.areas.removeAll { $0.ioas == IOASID(2) }
            $0.area(2, 0, bytes: 0x9000, offset: 0x100_0000)
            $0.area(2, 0x9000, bytes: 0x1000, offset: $0.rootTable.rawValue, backing: 2)
            $0.area(2, 0xa000, bytes: 0x6000, offset: 0x100_a000)
            try $0.record()
            return $0.entry(1, 0x9000, level: 0)
        },
    ]

    private static let areas: [RuleCase] = [
        RuleCase(rule: .areaMalformed, name: "past the end of its file", device: first, iova: 0x50_0000_0000) {
            $0.area(1, 0x50_0000_0000, bytes: 0x2000, offset: 0x1ff_f000)
            $0.map(0, 0x50_0000_0000, TestMachine.fileBase + 0x1ff_f000, pages: 2)
            try $0.record()
            return nil
        },
        RuleCase(rule: .areaMalformed, name: "half a page of offset", device: first, iova: 0x20_0000) {
            $0.snapshot.areas[1].offset += 0x800
            return nil
        },
        RuleCase(rule: .areaOverlap, name: "two areas of one range", device: first, iova: 0x10_2000) {
            $0.area(1, 0x10_2000, bytes: 0x1000, offset: 0x2000)
            return nil
        },
        RuleCase(rule: .areaReserved, name: "the interrupt window", device: first, iova: 0xfee0_0000) {
            $0.area(1, 0xfedf_f000, bytes: 0x2000, offset: 0x10000)
            $0.map(0, 0xfedf_f000, TestMachine.fileBase + 0x10000, pages: 2)
            try $0.record()
            return nil
        },
        RuleCase(rule: .areaNotMapped, name: "a page of an area", device: first, iova: 0x10_1000) {
            let place = $0.entry(0, 0x10_1000, level: 0)
            $0.write(0, place)
            try $0.record()
            return place
        },
        RuleCase(rule: .areaAddressDiffers, name: "another offset", device: first, iova: 0x20_0000) {
            $0.snapshot.areas[1].offset = 0x60_0000
            return $0.entry(0, 0x20_0000, level: 1)
        },
        RuleCase(rule: .areaAddressDiffers, name: "one leaf", device: second, iova: 0x5000) {
            $0.map(1, 0x5000, TestMachine.fileBase + 0x50_0000, pages: 1)
            try $0.record()
            return $0.entry(1, 0x5000, level: 0)
        },
        RuleCase(rule: .areaProtectionDiffers, name: "a leaf that may be written", device: first, iova: 0x40_0000) {
            let place = $0.entry(0, 0x40_0000, level: 1)
            $0.write($0.read(place) | 2, place)
            try $0.record()
            return place
        },
        RuleCase(rule: .mappingWithoutArea, name: "a leaf beside the areas", device: first, iova: 0x10_3000) {
            $0.map(0, 0x10_3000, TestMachine.fileBase + 0x3000, pages: 1)
            try $0.record()
            return $0.entry(0, 0x10_3000, level: 0)
        },
        RuleCase(rule: .areaWitnessMissing, name: "derived areas", severity: .note, device: first) {
            $0.snapshot.ioases[0].areaOrigin = .derived
            return nil
        },
        RuleCase(rule: .backingAssumed, name: "an assumed file", severity: .note, device: first) {
            $0.snapshot.backings[0].isAssumed = true
            return nil
        },
    ]
}
