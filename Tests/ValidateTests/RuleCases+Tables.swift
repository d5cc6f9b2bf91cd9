import Hardware
import IOMMUModel
import PageTables
import Snapshot

extension PASIDRuleCase {
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

    static let tables: [PASIDRuleCase] = [
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
