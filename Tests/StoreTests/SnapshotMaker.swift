import IOMMUModel
import Snapshot

/// Random snapshots whose references resolve: two units, domains of every kind, several cache tags of one domain, PASIDs
/// at the ends of what tables and bits hold, lookup pages of every structure.
struct SnapshotMaker {
    /// The first and last of a PASID table, the first of the next one, the last of all.
    static let pasids: [UInt32] = [1, 63, 64, PASID.maximum]
    static let lookupLevels: [UInt8] = [
        LookupLevel.vtdRoot, LookupLevel.vtdContext, LookupLevel.vtdScalableContext, LookupLevel.vtdPASIDDirectory,
        LookupLevel.vtdPASIDTable, LookupLevel.amdDeviceTable, LookupLevel.amdGCR3Level1, LookupLevel.amdGCR3Level2,
        LookupLevel.amdGCR3Level3,
    ]

    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1 }

    private mutating func next(_ bound: UInt64 = .max) -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        var x = state
        x ^= x >> 33
        x = x &* 0xff51_afd7_ed55_8ccd
        x ^= x >> 29
        return bound == .max ? x : x % bound
    }

    private mutating func one<T>(of values: [T]) -> T { values[Int(next(UInt64(values.count)))] }

    /// A snapshot with about `size` devices, areas and table pages.
    func make(size: Int) -> Snapshot {
        var copy = self
        return copy.build(size)
    }

    private mutating func build(_ size: Int) -> Snapshot {
        var snapshot = Snapshot(origin: .engine)
        snapshot.units = [
            UnitRecord(
                id: UnitID(1), kind: .intelVTd, segment: 0x10000, registerBase: PhysicalAddress(0xfed9_0000),
                hostAddressWidth: 46,
                registers: [.init(name: "cap", value: .max), .init(name: "rtaddr", value: next())],
                accessedDirty: true),
            UnitRecord(
                id: UnitID(2), kind: .amdVi, segment: 0, registerBase: PhysicalAddress(0xfd80_0000),
                hostAddressWidth: 52, registers: [], encryptionBit: 51),
        ]
        snapshot.memoryRanges = [
            MemoryRangeRecord(
                kind: .ram, range: PhysicalRange(first: PhysicalAddress(0x10_0000), bytes: 0x7ff0_0000)!)
        ]
        snapshot.groups = [GroupRecord(id: GroupID(7), owner: .vfio, ownerToken: .max, ownerAssumed: true)]
        snapshot.reservedRegions = [
            ReservedRegionRecord(
                group: GroupID(7), kind: .msi, range: IOVARange(first: IOVA(0xfee0_0000), last: IOVA(.max))!)
        ]
        snapshot.backings = [
            BackingRecord(
                id: BackingID(1), kind: .memfd, base: PhysicalAddress(0x1_0000_0000), byteCount: 1 << 40, isSealed: true
            )
        ]
        snapshot.sessions = [SessionRecord(id: SessionID(3), name: "säsong")]
        snapshot.ioases = [IOASRecord(id: IOASID(4), areaOrigin: .declared, isImmutable: true)]
        addDomains(to: &snapshot)
        snapshot.hwpts = [HWPTRecord(id: HWPTID(8), ioas: IOASID(4), domain: DomainID(5), token: .max)]
        snapshot.engineState = [EngineStateRecord(name: "clock", bytes: [0, 1, 2, 255])]
        for index in 0..<size { addDevice(index, to: &snapshot) }
        addAreas(size * 60, to: &snapshot)
        snapshot.lookupPages = [UnitID(1), UnitID(2)].map {
            UnitPages(unit: $0, pages: pages(Self.lookupLevels.count, levels: Self.lookupLevels))
        }
        if size > 0 {
            snapshot.tablePages = [DomainPages(domain: DomainID(5), pages: pages(size * 7, levels: [0, 1, 2, 3, 4]))]
        }
        snapshot.normalize()
        return snapshot
    }

    /// 5 is paging on both units, 6 blocked, 2 and 7 nested in 5, of which one has a lower id than its parent, 8 passes
    /// through.
    private mutating func addDomains(to snapshot: inout Snapshot) {
        snapshot.domains = [
            DomainRecord(id: DomainID(2), kind: .nested, holder: .session, parent: DomainID(5), preserved: true),
            DomainRecord(id: DomainID(5), kind: .paging, holder: .session, preserved: true),
            DomainRecord(id: DomainID(6), kind: .blocked, holder: .core),
            DomainRecord(id: DomainID(7), kind: .nested, holder: .iommufd, parent: DomainID(5)),
            DomainRecord(id: DomainID(8), kind: .identity, holder: .core),
        ]
        func geometry(_ format: PageTableFormatKind, _ page: UInt64, signExtended: Bool, _ mask: UInt64)
            -> DomainUnitRecord.Geometry
        {
            .init(
                format: format, root: PhysicalAddress(page: page), topLevel: signExtended ? 4 : 3,
                addressBits: signExtended ? 57 : 48, signExtended: signExtended, hardwareUpdatedMask: mask)
        }
        let format = one(of: PageTableFormatKind.allCases)
        snapshot.domainUnits = [
            DomainUnitRecord(
                domain: DomainID(2), unit: UnitID(1),
                tables: geometry(.x86_64, next(1 << 40), signExtended: true, 0x60)),
            DomainUnitRecord(
                domain: DomainID(5), unit: UnitID(1), tables: geometry(format, next(1 << 40), signExtended: false, .max)
            ),
            DomainUnitRecord(
                domain: DomainID(5), unit: UnitID(2), tables: geometry(.amdV1, next(1 << 40), signExtended: false, 0)),
            DomainUnitRecord(
                domain: DomainID(7), unit: UnitID(1),
                tables: geometry(.x86_64, next(1 << 40), signExtended: true, 0x60)),
            DomainUnitRecord(domain: DomainID(8), unit: UnitID(1), tables: nil),
        ]
    }

    private mutating func addDevice(_ index: Int, to snapshot: inout Snapshot) {
        let requester = RequesterID(segment: 0x10000, rid: UInt16(index))
        snapshot.devices.append(
            DeviceRecord(
                requester: requester, unit: UnitID(1), group: GroupID(7), hasFunction: index % 5 != 0,
                vendorID: .max, deviceID: UInt16(next(1 << 16)), classCode: 0xff_ffff, driver: "vfio-pci",
                preserved: index % 2 == 0))
        let tags: [UInt32] = [0, 1, 0xffff, .max]
        snapshot.attachments.append(
            index % 4 == 0
                ? AttachmentRecord(
                    requester: requester, pasid: nil, domain: DomainID(6), cacheTag: nil, entryAddress: nil)
                : AttachmentRecord(
                    requester: requester, pasid: nil, domain: DomainID(index % 4 == 1 ? 8 : 5),
                    cacheTag: tags[index % 4],
                    entryAddress: PhysicalAddress(next() & ~7)))
        guard index % 3 == 0 else { return }
        for pasid in Self.pasids {
            snapshot.attachments.append(
                AttachmentRecord(
                    requester: requester, pasid: PASID(pasid), domain: one(of: [DomainID(2), DomainID(7)]),
                    cacheTag: one(of: tags), cachePASID: PASID(one(of: Self.pasids + [0])),
                    entryAddress: PhysicalAddress(next() & ~7)))
        }
    }

    private mutating func addAreas(_ count: Int, to snapshot: inout Snapshot) {
        var iova: UInt64 = 0
        for _ in 0..<count {
            iova += next(16) << 12
            let bytes = (1 + next(100)) << 12
            snapshot.areas.append(
                AreaRecord(
                    ioas: IOASID(4), range: IOVARange(first: IOVA(iova), bytes: bytes)!, backing: BackingID(1),
                    offset: next() & ~0xfff, protection: Protection(rawValue: UInt8(1 + next(3)))))
            iova += bytes
        }
    }

    /// The first `count` pages have each of `levels` once, when there are as many.
    private mutating func pages(_ count: Int, levels: [UInt8]) -> PageSet {
        var set = PageSet()
        var address: UInt64 = 0x1_0000_0000
        for index in 0..<count {
            address += (1 + next(4)) << 12
            let first = next()
            let words = (0..<512).map { index % 9 == 0 ? next() : first &+ UInt64($0) &* 4096 }
            let level = index < levels.count ? levels[index] : one(of: levels)
            set.append(address: PhysicalAddress(address), level: level, words: words)
        }
        return set
    }
}
