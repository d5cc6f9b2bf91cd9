import IOMMUModel
import PageTables
import Snapshot

/// Profile S: 8 devices on one unit, one domain with 64 areas of 1 GiB, mapped as 2 MiB pages by 66 table pages.
enum SmallHost {
    static let deviceCount = 8
    static let areaCount = 64
    static let tablePages = 66

    private static let bytesPerArea: UInt64 = 1 << 30
    private static let arenaBase: UInt64 = 0x1_4000_0000
    private static let backingBase: UInt64 = 0x10_0000_0000
    private static let rootTable: UInt64 = 0x1000_0000

    /// The frozen state. The tables are the mapper's own, so that they are as regular as real ones.
    static func snapshot() throws -> Snapshot {
        var snapshot = Snapshot(origin: .engine)
        let unit = UnitID(0)
        let domain = DomainID(1)
        snapshot.units = [
            UnitRecord(
                id: unit, kind: .intelVTd, segment: 0, registerBase: PhysicalAddress(0xfed9_0000), hostAddressWidth: 46,
                registers: [
                    .init(name: "cap", value: 0x0d20_08c4_0660_0462), .init(name: "ecap", value: 0xf0_20da),
                    .init(name: "gsts", value: 0xc000_0000), .init(name: "rtaddr", value: rootTable),
                ])
        ]
        snapshot.memoryRanges = [
            MemoryRangeRecord(kind: .ram, range: range(0x10_0000, 0x20_0000_0000)),
            MemoryRangeRecord(kind: .handover, range: range(0x1_3fff_f000, 4096)),
            MemoryRangeRecord(kind: .arena, range: range(arenaBase, 1 << 20)),
        ]
        snapshot.backings = [
            BackingRecord(
                id: BackingID(1), kind: .memfd, base: PhysicalAddress(backingBase),
                byteCount: UInt64(areaCount) * bytesPerArea, isSealed: true)
        ]
        snapshot.sessions = [SessionRecord(id: SessionID(1), name: "guest")]
        snapshot.ioases = [IOASRecord(id: IOASID(1), areaOrigin: .declared, isImmutable: true)]
        snapshot.areas = (0..<UInt64(areaCount)).map { index in
            AreaRecord(
                ioas: IOASID(1), range: IOVARange(first: IOVA(index * bytesPerArea), bytes: bytesPerArea)!,
                backing: BackingID(1), offset: index * bytesPerArea, protection: .readWrite)
        }
        snapshot.domains = [DomainRecord(id: domain, kind: .paging, holder: .session, preserved: true)]
        snapshot.hwpts = [HWPTRecord(id: HWPTID(1), ioas: IOASID(1), domain: domain, token: 1)]
        for index in 0..<deviceCount {
            addDevice(UInt8(index), unit: unit, domain: domain, to: &snapshot)
        }
        let (root, pages) = try tables()
        snapshot.domainUnits = [
            DomainUnitRecord(
                domain: domain, unit: unit,
                tables: .init(format: .vtdSecondStage, root: root, topLevel: 3, addressBits: 48))
        ]
        snapshot.tablePages = [DomainPages(domain: domain, pages: pages)]
        snapshot.lookupPages = [UnitPages(unit: unit, pages: lookupPages(tableRoot: root))]
        snapshot.normalize()
        return snapshot
    }

    private static func range(_ first: UInt64, _ bytes: UInt64) -> PhysicalRange {
        PhysicalRange(first: PhysicalAddress(first), bytes: bytes)!
    }

    private static func addDevice(_ number: UInt8, unit: UnitID, domain: DomainID, to snapshot: inout Snapshot) {
        let requester = RequesterID(segment: 0, rid: UInt16(number) << 3)
        let group = GroupID(UInt32(number))
        snapshot.groups.append(GroupRecord(id: group, owner: .vfio, ownerToken: 1))
        snapshot.devices.append(
            DeviceRecord(
                requester: requester, unit: unit, group: group, vendorID: 0x8086, deviceID: 0x1572,
                classCode: 0x02_0000,
                driver: "vfio-pci", preserved: true))
        snapshot.attachments.append(
            AttachmentRecord(
                requester: requester, pasid: nil, domain: domain, cacheTag: 1,
                entryAddress: PhysicalAddress(rootTable + 4096 + UInt64(requester.devfn) * 16)))
    }

    /// The domain's tables as the mapper makes them.
    private static func tables() throws -> (root: PhysicalAddress, pages: PageSet) {
        let configuration = PageTableConfiguration(topLevel: 3, hostAddressWidth: 46, supports1G: false)!
        let region = try MappedRegion.anonymous(bytes: 1 << 20)
        var memory = PhysicalMemory()
        try memory.add(at: PhysicalAddress(arenaBase), byteCount: 1 << 20, region: region)
        var arena = try TableArena(ranges: [range(arenaBase, 1 << 20)], memory: memory.view)
        var table = try PageTable.create(configuration, arena: &arena, memory: memory.view)
        try table.map(
            iova: IOVA(0), pa: PhysicalAddress(backingBase), byteCount: UInt64(areaCount) * bytesPerArea,
            protection: .readWrite, memory: memory.view, arena: &arena)
        var pages = PageSet()
        let tree = Walker.scan(configuration, root: table.root, memory: memory.view, budget: ScanBudget())
        for node in tree.sortedNodes {
            guard let words = memory.page(at: node.page) else { continue }
            pages.append(address: node.page, level: UInt8(node.level), words: words)
        }
        precondition(pages.count == tablePages, "profile S has 66 table pages")
        return (table.root, pages)
    }

    /// A root table and one context table, legacy mode.
    private static func lookupPages(tableRoot: PhysicalAddress) -> PageSet {
        var root = [UInt64](repeating: 0, count: 512)
        root[0] = (rootTable + 4096) | 1
        var context = [UInt64](repeating: 0, count: 512)
        for number in 0..<deviceCount {
            context[number * 16] = tableRoot.rawValue | 1
            // Domain id 1, 48 bits.
            context[number * 16 + 1] = 1 << 8 | 2
        }
        var pages = PageSet()
        pages.append(address: PhysicalAddress(rootTable), level: LookupLevel.vtdRoot, words: root)
        pages.append(address: PhysicalAddress(rootTable + 4096), level: LookupLevel.vtdContext, words: context)
        return pages
    }
}
