import Hardware
import IOMMUModel
import PageTables
import Snapshot

extension PASIDRuleCase {
    static let all: [PASIDRuleCase] = scalable + amd + tables

    private static let first = PASIDMachine.first
    private static let second = PASIDMachine.second
    private static let nesting = PASIDMachine.nesting

    private static func word(_ index: UInt64, _ address: PhysicalAddress) -> PhysicalAddress {
        PASIDMachine.word(index, address)
    }

    /// Flips `bits` of the word that `place` names and records the machine as it is then.
    private static func flip(
        _ bits: UInt64, _ place: @escaping @Sendable (inout PASIDMachine) -> PhysicalAddress
    ) -> @Sendable (inout PASIDMachine) throws -> PhysicalAddress? {
        { machine in
            let address = place(&machine)
            machine.write(machine.read(address) ^ bits, address)
            try machine.record()
            return address
        }
    }

    private static let scalable: [PASIDRuleCase] = [
        .init(.intel, .vtdPASIDDirectoryUnreachable, "a directory outside memory", device: first) {
            let place = $0.deviceEntry(first)
            $0.write(VTDScalableContextEntry(
                directory: PhysicalAddress(0x77_7000_0000), directorySizeCode: 0, pasidEnabled: true).words, place)
            try $0.record()
            return place
        },
        .init(.intel, .lookupPageUnknown, "a directory that is not recorded", device: first) {
            let place = $0.deviceEntry(first)
            $0.write(VTDScalableContextEntry(
                directory: PhysicalAddress(PASIDMachine.fileBase), directorySizeCode: 0, pasidEnabled: true).words, place)
            try $0.record()
            return place
        },
        .init(
            .intel, .vtdPASIDDirectoryReserved, "a reserved bit", device: first,
            edit: flip(1 << 5) { $0.upperEntry(first, 64) }),
        .init(.intel, .vtdPASIDTableUnreachable, "a table outside memory", device: first) {
            let place = $0.upperEntry(first, 64)
            $0.write(0x77_7000_0001, place)
            try $0.record()
            return place
        },
        .init(
            .intel, .vtdPASIDReserved, "a reserved bit of the second word", device: first, pasid: 1,
            edit: flip(1 << 20) { word(1, $0.entry(first, 1)) }),
        .init(
            .intel, .vtdPASIDTranslationType, "a reserved type", device: first, pasid: 1,
            edit: flip(7 << 6) { $0.entry(first, 1) }),
        .init(.intel, .vtdPASIDAddressWidth, "57 bits", device: second, edit: flip(1 << 2) { $0.entry(second, 0) }),
        .init(
            .intel, .vtdPASIDAddressWidth, "a first stage of five levels", device: first, pasid: 1,
            edit: flip(1 << 2) { word(2, $0.entry(first, 1)) }),
        .init(.intel, .vtdPASIDBeyondDirectory, "an entry beyond PDTS", severity: .warning, device: first) {
            $0.write(VTDPASIDDirectoryEntry(table: $0.frame()).word, word(200, $0.directories[first]!))
            try $0.record()
            return $0.deviceEntry(first)
        },
        .init(
            .intel, .vtdPASIDNotEnabled, "PASIDE cleared", severity: .note, device: first,
            edit: flip(8) { $0.deviceEntry(first) }),
        .init(.intel, .cacheTagCollision, "one DID and PASID, two first stages", device: nesting, pasid: 1) {
            $0.enter(nesting, 1, VTDPASIDEntry(firstStage: $0.roots[3]!, isFiveLevel: false, domainID: 6))
            $0.attach(nesting, 1, 3, tag: 6, key: 1, at: $0.entry(nesting, 1))
            try $0.record()
            return word(1, $0.entry(nesting, 1))
        },
        .init(.intel, .cacheTagCollision, "a nested parent under another's DID", device: nesting, pasid: 100) {
            $0.write(5, word(1, $0.entry(nesting, 100)))
            $0.snapshot.attachments[$0.attachment(nesting, 100)].cacheTag = 5
            try $0.record()
            return word(1, $0.entry(nesting, 100))
        },
        .init(.intel, .attachmentEntryDiffers, "another root for one PASID", device: first, pasid: 64) {
            $0.enter(first, 64, VTDPASIDEntry(firstStage: $0.roots[3]!, isFiveLevel: false, domainID: 6))
            try $0.record()
            return word(2, $0.entry(first, 64))
        },
        .init(.intel, .attachmentEntryDiffers, "one stage where two are recorded", device: nesting, pasid: 100) {
            $0.enter(nesting, 100, VTDPASIDEntry(firstStage: $0.roots[2]!, isFiveLevel: false, domainID: 8))
            try $0.record()
            return word(2, $0.entry(nesting, 100))
        },
        .init(.intel, .attachmentEntryDiffers, "a PASID's entry that is gone", device: first, pasid: 70) {
            let place = $0.entry(first, 70)
            $0.write([UInt64](repeating: 0, count: 8), place)
            try $0.record()
            return place
        },
        .init(.intel, .attachmentEntryDiffers, "an untagged entry that is gone", device: second) {
            let place = $0.entry(second, 0)
            $0.write([UInt64](repeating: 0, count: 8), place)
            try $0.record()
            return place
        },
        .init(.intel, .attachmentEntryDiffers, "a PASID's attachment that is gone", device: first, pasid: 1) {
            $0.snapshot.attachments.remove(at: $0.attachment(first, 1))
            return $0.entry(first, 1)
        },
        .init(.intel, .unpreservedEntryLeft, "a device with PASIDs, told once", device: nesting) {
            $0.snapshot.devices[3].preserved = false
            return $0.deviceEntry(nesting)
        },
        .init(
            .intel, .guestTableUnmapped, "a guest's root beyond its memory", severity: .warning, device: nesting,
            pasid: 100
        ) {
            $0.enter(
                nesting, 100,
                VTDPASIDEntry(
                    firstStage: PhysicalAddress(0x10000), isFiveLevel: false, over: $0.roots[5]!, width: .bits48,
                    domainID: 8))
            $0.snapshot.domainUnits[3].tables?.root = PhysicalAddress(0x10000)
            try $0.record()
            return word(2, $0.entry(nesting, 100))
        },
    ]

    private static let amd: [PASIDRuleCase] = [
        .init(.amd, .amdDeviceTable, "a reserved bit in the register") {
            $0.snapshot.units[0].registers[1].value |= 1 << 10
            return nil
        },
        .init(.amd, .amdDeviceTable, "no register") {
            $0.snapshot.units[0].registers.removeAll { $0.name == "devtab" }
            return nil
        },
        .init(.amd, .amdDeviceTable, "translation off") {
            $0.snapshot.units[0].registers[0].value &= ~1
            return nil
        },
        .init(.amd, .amdDTEReserved, "a reserved bit", device: second, edit: flip(4) { $0.deviceEntry(second) }),
        .init(.amd, .amdDTEMode, "the reserved mode", device: second, edit: flip(1 << 9) { $0.deviceEntry(second) }),
        .init(
            .amd, .amdDTEMode, "fewer levels than the tables have", device: second,
            edit: flip(4 << 9) { $0.deviceEntry(second) }),
        .init(.amd, .amdDTEGuest, "the reserved GLX", device: first, edit: flip(2 << 56) { $0.deviceEntry(first) }),
        .init(
            .amd, .amdDTETranslationInvalid, "V without TV", severity: .warning, device: second,
            edit: flip(2) { $0.deviceEntry(second) }),
        .init(.amd, .amdGCR3Unreachable, "a table outside memory", device: first) {
            $0.enter(
                first, AMDDeviceTableEntry(v2GCR3Root: PhysicalAddress(0x77_7000_0000), glx: 1, domainID: 6))
            try $0.record()
            return $0.deviceEntry(first)
        },
        .init(.amd, .lookupPageUnknown, "a GCR3 table that is not recorded", device: first) {
            $0.enter(
                first, AMDDeviceTableEntry(v2GCR3Root: PhysicalAddress(PASIDMachine.fileBase), glx: 1, domainID: 6))
            try $0.record()
            return $0.deviceEntry(first)
        },
        .init(
            .amd, .amdGCR3Reserved, "a reserved bit", device: first, pasid: 1, edit: flip(8) { $0.entry(first, 1) }),
        .init(.amd, .cacheTagCollision, "a nested parent under another's DomainID", device: nesting, pasid: 100) {
            let place = word(1, $0.deviceEntry(nesting))
            $0.write($0.read(place) & ~0xffff | 5, place)
            $0.snapshot.attachments[$0.attachment(nesting, 100)].cacheTag = 5
            try $0.record()
            return place
        },
        .init(.amd, .attachmentEntryDiffers, "everything passes", device: second) {
            let place = $0.deviceEntry(second)
            $0.write([0, 0], place)
            try $0.record()
            return place
        },
        .init(.amd, .attachmentEntryDiffers, "a blocked entry", device: second) {
            $0.enter(second, .blocked)
            try $0.record()
            return $0.deviceEntry(second)
        },
        .init(.amd, .attachmentEntryDiffers, "another tag", device: first, pasid: 64) {
            $0.snapshot.attachments[$0.attachment(first, 64)].cachePASID = PASID(1)
            return word(1, $0.deviceEntry(first))
        },
        .init(.amd, .attachmentEntryDiffers, "host tables that are not the parent's", device: nesting, pasid: 100) {
            // The same tables below another root.
            let (old, root) = ($0.roots[5]!, $0.frame())
            for index in UInt64(0)..<512 {
                $0.write($0.read(word(index, old)), word(index, root))
                $0.write(0, word(index, old))
            }
            var entry = AMDDeviceTableEntry(v1Root: root, mode: 4, domainID: 8)
            entry.setGuest(gcr3Root: $0.directories[nesting]!, glx: 1, giov: true)
            $0.enter(nesting, entry)
            $0.snapshot.ioases[3].areaOrigin = .derived
            $0.roots[5] = root
            try $0.record(guest: [old])
            return $0.deviceEntry(nesting)
        },
        .init(.amd, .unpreservedEntryLeft, "a device of which everything passes", device: second) {
            $0.snapshot.devices[1].preserved = false
            $0.write([0, 0], $0.deviceEntry(second))
            try $0.record()
            return $0.deviceEntry(second)
        },
        .init(.amd, .guestTableUnmapped, "a guest's root beyond its memory", severity: .warning, device: nesting, pasid: 100) {
            let place = $0.entry(nesting, 100)
            $0.write(AMDGCR3Entry(pointer: PhysicalAddress(0x10000)).rawValue, place)
            $0.snapshot.domainUnits[3].tables?.root = PhysicalAddress(0x10000)
            try $0.record()
            return place
        },
    ]

    /// Writes `word` at `level` for `iova` of domain 1.
    private static func table(
        _ iova: UInt64, level: Int, _ word: UInt64
    ) -> @Sendable (inout PASIDMachine) throws -> PhysicalAddress? {
        { machine in
            let place = machine.entry(of: 1, iova, level: level)
            machine.write(word, place)
            try machine.record()
            return place
        }
    }

    private static let readWrite: UInt64 = 3 << 61

    private static let tables: [PASIDRuleCase] = [
        .init(
            .amd, .tableInvalidLevel, "a next level above its own", device: second, iova: 0x4000_0000,
            edit: table(0x4000_0000, level: 2, 0x1000_1001 | 5 << 9 | readWrite)),
        .init(
            .amd, .tableInvalidPageSize, "a size code without an end", device: second, iova: 0x4000_0000,
            edit: table(0x4000_0000, level: 2, 0xf_ffff_ffff_f001 | 7 << 9 | readWrite)),
        .init(
            .amd, .tableLeafNotAllowed, "a leaf in the sixth level", device: second, iova: 0x0200_0000_0000_0000,
            edit: table(0x0200_0000_0000_0000, level: 5, 0x1 | readWrite)),
        .init(.amd, .tableMisaligned, "address bits below 2M", severity: .warning, device: second, iova: 0x20_0000) {
            let place = $0.entry(of: 1, 0x20_0000, level: 1)
            $0.write($0.read(place) | 1 << 13, place)
            try $0.record()
            return place
        },
        .init(
            .amd, .tableContiguousDiffers, "one item of eight", severity: .warning, device: second, iova: 0x70_3000
        ) {
            // 32 KiB: bits 13:12 are set, bit 14 ends the size code.
            for page in UInt64(0)..<8 {
                $0.write(
                    PASIDMachine.fileBase + 0x500_0000 | 0x3001 | 7 << 9 | readWrite,
                    $0.entry(of: 1, 0x70_0000 + page << 12, level: 0))
            }
            $0.area(1, 0x70_0000, bytes: 0x8000, offset: 0x500_0000)
            let place = $0.entry(of: 1, 0x70_3000, level: 0)
            $0.write($0.read(place) | 1 << 60, place)
            try $0.record()
            return place
        },
        .init(.amd, .tableErratum512G, "a leaf of 512G", severity: .warning, device: second, iova: 0x80_0000_0000) {
            let place = $0.entry(of: 1, 0x80_0000_0000, level: 3)
            $0.write(0x80_0000_0001 | readWrite, place)
            $0.snapshot.ioases[0].areaOrigin = .derived
            try $0.record()
            return place
        },
        .init(
            .amd, .tableNoAccess, "a leaf without rights", severity: .note, device: second, iova: 0x4000_0000,
            edit: table(0x4000_0000, level: 1, 0x4000_0001)),
        .init(.amd, .tableIgnoredBits, "bit 63", severity: .note, device: second, iova: 0x10_0000) {
            let place = $0.entry(of: 1, 0x10_0000, level: 0)
            $0.write($0.read(place) | 1 << 63, place)
            try $0.record()
            return place
        },
        .init(.amd, .tableReservedBits, "bit 52", device: second, iova: 0x10_0000) {
            let place = $0.entry(of: 1, 0x10_0000, level: 0)
            $0.write($0.read(place) | 1 << 52, place)
            try $0.record()
            return place
        },
        .init(.intel, .tableReservedBits, "a misaligned first-stage leaf", device: first, pasid: 1, iova: 0x20_0000) {
            let place = $0.entry(of: 2, 0x20_0000, level: 1)
            $0.write(PASIDMachine.fileBase | 0xa7 | 1 << 14, place)
            try $0.record()
            return place
        },
        .init(.intel, .tableReused, "one root with two widths", device: second, iova: 0) {
            $0.enter(second, 0, VTDPASIDEntry(secondStage: $0.roots[1]!, width: .bits39, domainID: 5))
            $0.snapshot.ioases[0].areaOrigin = .derived
            $0.snapshot.attachments.remove(at: $0.attachment(second, nil))
            $0.snapshot.domains.append(
                DomainRecord(id: DomainID(7), kind: .paging, holder: .session, preserved: true))
            $0.snapshot.domainUnits.append(
                DomainUnitRecord(
                    domain: DomainID(7), unit: UnitID(1),
                    tables: .init(format: .vtdSecondStage, root: $0.roots[1]!, topLevel: 2, addressBits: 39)))
            $0.attach(second, nil, 7, tag: 5, at: $0.entry(second, 0))
            try $0.record()
            return $0.entry(second, 0)
        },
        .init(.intel, .tableReused, "two domains with the same tables") {
            $0.snapshot.domains.append(
                DomainRecord(id: DomainID(7), kind: .paging, holder: .session, preserved: true))
            $0.snapshot.domainUnits.append(
                DomainUnitRecord(domain: DomainID(7), unit: UnitID(1), tables: $0.snapshot.domainUnits[1].tables))
            return nil
        },
        .init(
            .intel, .tableLeafIntoTable, "a parent that gives its guest a table", device: nesting, pasid: 100,
            iova: 0x20_0000
        ) {
            $0.map(5, 0x20_0000, $0.rootTable.rawValue, pages: 1)
            $0.snapshot.ioases[3].areaOrigin = .derived
            try $0.record()
            return $0.entry(of: 5, 0x20_0000, level: 0)
        },
        .init(.intel, .tableLeavesDecodeAsTables, "tables of four levels read with three", device: second) {
            // Eight tables of the lowest level, 2 MiB apart.
            for number in UInt64(0)..<8 {
                $0.fill(1, 0x4000_0000 + number << 21, pages: 1)
                $0.snapshot.areas[$0.snapshot.areas.count - 1].offset = 1 << 24
            }
            $0.write([UInt64](repeating: 0, count: 8), $0.entry(first, 0))
            $0.snapshot.attachments.remove(at: $0.attachment(first, nil))
            $0.enter(second, 0, VTDPASIDEntry(secondStage: $0.roots[1]!, width: .bits39, domainID: 5))
            try $0.record()
            $0.snapshot.domainUnits[0].tables?.topLevel = 2
            return $0.entry(second, 0)
        },
    ]
}
