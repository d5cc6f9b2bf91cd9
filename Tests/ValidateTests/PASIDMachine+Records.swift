import Hardware
import IOMMUModel
import PageTables
import Snapshot

@testable import Validate

extension PASIDMachine {
    /// Format and top level of a domain's tables.
    func shape(_ domain: UInt32) -> (format: PageTableFormatKind, topLevel: Int) {
        switch (domain, vendor) {
        case (1, .intel), (5, .intel): (.vtdSecondStage, 3)
        case (1, .amd): (.amdV1, 5)
        case (5, .amd): (.amdV1, 3)
        default: (.x86_64, 3)
        }
    }

    /// The entry of `domain` that decides about `iova` at `level`, tables being made on the way.
    mutating func entry(of domain: UInt32, _ iova: UInt64, level: Int) -> PhysicalAddress {
        let (format, topLevel) = shape(domain)
        var table = roots[domain]!
        for current in (level...topLevel).reversed() {
            let place = PhysicalAddress(table.rawValue + (iova >> UInt64(12 + 9 * current) & 511) * 8)
            if current == level { return place }
            if read(place) == 0 { write(Self.tableWord(frame().rawValue, format, current), place) }
            table = PhysicalAddress(read(place) & 0xf_ffff_ffff_f000)
        }
        return table
    }

    static func tableWord(_ page: UInt64, _ format: PageTableFormatKind, _ level: Int) -> UInt64 {
        switch format {
        case .vtdSecondStage: page | 3
        case .amdV1: page | 1 | UInt64(level) << 9 | 3 << 61
        case .x86_64: page | 0x27
        case .armv8Stage2: page | 3
        }
    }

    static func leafWord(_ pa: UInt64, _ format: PageTableFormatKind, _ level: Int, _ protection: Protection) -> UInt64
    {
        let rights = UInt64(protection.rawValue)
        let large: UInt64 = level > 0 ? 0x80 : 0
        return switch format {
        case .vtdSecondStage: pa | rights | large
        case .amdV1: pa | 1 | rights << 61
        case .x86_64: pa | 0x25 | rights & 2 | large
        case .armv8Stage2: pa | rights << 6 | (level > 0 ? 0x401 : 0x403)
        }
    }

    mutating func map(
        _ domain: UInt32, _ iova: UInt64, _ pa: UInt64, pages: Int, level: Int = 0,
        _ protection: Protection = .readWrite
    ) {
        let size: UInt64 = 1 << UInt64(12 + 9 * level)
        for number in 0..<UInt64(pages) {
            let place = entry(of: domain, iova + number * size, level: level)
            write(Self.leafWord(pa + number * size, shape(domain).format, level, protection), place)
        }
    }

    /// Maps, and declares an area over it.
    mutating func fill(
        _ domain: UInt32, _ iova: UInt64, pages: Int, level: Int = 0, _ protection: Protection = .readWrite
    ) {
        let offset = UInt64(domain) << 24 | (level > 0 ? 0x80_0000 : 0)
        let bytes = UInt64(pages) << UInt64(12 + 9 * level)
        map(domain, iova, Self.fileBase + offset, pages: pages, level: level, protection)
        area(domain, iova, bytes: bytes, offset: offset, protection)
    }

    mutating func area(
        _ ioas: UInt32, _ iova: UInt64, bytes: UInt64, offset: UInt64, _ protection: Protection = .readWrite
    ) {
        snapshot.areas.append(
            AreaRecord(
                ioas: IOASID(ioas), range: IOVARange(first: IOVA(iova), bytes: bytes)!, backing: BackingID(1),
                offset: offset, protection: protection))
    }

    func configuration(_ domain: UInt32) -> PageTableConfiguration {
        let (format, topLevel) = shape(domain)
        let signExtended = format == .x86_64 && !(vendor == .amd && domain == 3)
        return hardware.configuration(format: format, topLevel: topLevel, addressBits: nil, signExtended: signExtended)!
    }

    var hardware: IOMMUHardware {
        let unit = snapshot.units[0]
        return try! IOMMUHardware(kind: unit.kind, hostAddressWidth: Int(unit.hostAddressWidth)) { unit[register: $0] }!
    }

    mutating func records() {
        let unit = UnitID(1)
        snapshot.units = [unitRecord(unit)]
        snapshot.memoryRanges = [
            MemoryRangeRecord(
                kind: .ram,
                range: PhysicalRange(first: PhysicalAddress(TestMachine.ramBase), bytes: TestMachine.ramBytes)!),
            MemoryRangeRecord(
                kind: .ram, range: PhysicalRange(first: PhysicalAddress(Self.fileBase), bytes: 0x1000_0000)!),
        ]
        for (number, device) in [Self.first, Self.second, Self.passing, Self.nesting].enumerated() {
            let group = GroupID(UInt32(number + 1))
            snapshot.groups.append(GroupRecord(id: group, owner: .vfio, ownerToken: 9))
            snapshot.devices.append(DeviceRecord(requester: device, unit: unit, group: group, preserved: true))
        }
        let kinds: [(UInt32, DomainKind)] = [
            (1, .paging), (2, .paging), (3, .paging), (4, .nested), (5, .paging), (6, .identity),
        ]
        for (id, kind) in kinds {
            snapshot.domains.append(
                DomainRecord(
                    id: DomainID(id), kind: kind, holder: .session, parent: kind == .nested ? DomainID(5) : nil,
                    preserved: true))
            snapshot.domainUnits.append(
                DomainUnitRecord(domain: DomainID(id), unit: unit, tables: kind == .identity ? nil : geometry(id)))
        }
        snapshot.sessions = [SessionRecord(id: SessionID(1), name: "vm")]
        snapshot.backings = [
            BackingRecord(
                id: BackingID(1), kind: .memfd, base: PhysicalAddress(Self.fileBase), byteCount: 0x1000_0000,
                isSealed: true)
        ]
        for id: UInt32 in [1, 2, 3, 5] {
            snapshot.ioases.append(IOASRecord(id: IOASID(id), areaOrigin: .declared, isImmutable: true))
        }
        for id: UInt32 in 1...5 {
            snapshot.hwpts.append(
                HWPTRecord(
                    id: HWPTID(id), ioas: IOASID(id == 4 ? 5 : id), domain: DomainID(id), token: UInt64(id)))
        }
    }

    private func unitRecord(_ id: UnitID) -> UnitRecord {
        let registers: [UnitRecord.Register] =
            switch vendor {
            case .intel:
                [
                    .init(
                        name: "rtaddr", value: VTDRootTableAddress(mode: .scalable, rootTable: rootTable).rawValue),
                    .init(
                        name: "cap",
                        value: VTDCapability(widths: [.bits39, .bits48], maximumGuestAddressWidth: 48).rawValue),
                    .init(name: "ecap", value: VTDExtendedCapability(scalable: .all).rawValue),
                    .init(name: "gsts", value: 0xc000_0000),
                ]
            case .amd:
                [
                    .init(name: "devtab", value: AMDDeviceTableBase(table: rootTable, pageCount: 1).rawValue),
                    .init(
                        name: "control", value: AMDControl(translationEnabled: true, guestAddressesGCR3: false).rawValue
                    ),
                    .init(name: "efr", value: AMDExtendedFeatures(hostLevels: 6, guestLevels: 4).rawValue),
                ]
            }
        return UnitRecord(
            id: id, kind: vendor == .intel ? .intelVTd : .amdVi, segment: 0, registerBase: PhysicalAddress(0xfed9_0000),
            hostAddressWidth: 46, registers: registers)
    }

    private func geometry(_ domain: UInt32) -> DomainUnitRecord.Geometry {
        let (format, topLevel) = shape(domain)
        let configuration = domain == 4 ? nil : configuration(domain)
        return DomainUnitRecord.Geometry(
            format: format, root: domain == 4 ? Self.guestRoot : roots[domain]!, topLevel: UInt8(topLevel),
            addressBits: UInt8(configuration?.addressBits ?? 48), signExtended: configuration?.signExtended ?? true)
    }

    /// Puts the pages that are in memory now into the snapshot, and `guest` as pages that are no structure of the
    /// machine.
    mutating func record(guest: [PhysicalAddress] = []) throws {
        let hardware = hardware
        let structures = withMemory { hardware.listing(memory: $0).pages.map { ($0.address, $0.kind.rawValue) } }
        var lookups = PageSet()
        for (page, level) in (structures + guest.map { ($0, LookupLevel.mappedTable) }).sorted(by: <) {
            lookups.append(address: page, level: level, words: memory.page(at: page)!)
        }
        snapshot.lookupPages = [UnitPages(unit: UnitID(1), pages: lookups)]
        snapshot.tablePages = []
        for domain: UInt32 in [1, 2, 3, 5] {
            let (shape, root) = (configuration(domain), roots[domain]!)
            let tree = withMemory { Walker.scan(shape, root: root, memory: $0) }
            var pages = PageSet()
            for node in tree.sortedNodes {
                pages.append(address: node.page, level: UInt8(node.level), words: memory.page(at: node.page)!)
            }
            snapshot.tablePages.append(DomainPages(domain: DomainID(domain), pages: pages))
        }
    }
}
