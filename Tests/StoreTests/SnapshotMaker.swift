import IOMMUModel
import Snapshot

/// Random snapshots whose references resolve.
struct SnapshotMaker {
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
                hardwareUpdatedMask: 0x300)
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
        snapshot.domains = [
            DomainRecord(id: DomainID(5), kind: .paging, holder: .session, preserved: true),
            DomainRecord(id: DomainID(6), kind: .blocked, holder: .core),
        ]
        snapshot.domainUnits = [
            DomainUnitRecord(
                domain: DomainID(5), unit: UnitID(1), cacheTag: 0xffff,
                tables: .init(
                    format: .vtdSecondStage, root: PhysicalAddress(page: next(1 << 40)), topLevel: 3, addressBits: 48))
        ]
        snapshot.hwpts = [HWPTRecord(id: HWPTID(8), ioas: IOASID(4), domain: DomainID(5), token: .max)]
        snapshot.engineState = [EngineStateRecord(name: "clock", bytes: [0, 1, 2, 255])]
        for index in 0..<size {
            let requester = RequesterID(segment: 0x10000, rid: UInt16(index))
            snapshot.devices.append(
                DeviceRecord(
                    requester: requester, unit: UnitID(1), group: GroupID(7), hasFunction: index % 5 != 0,
                    vendorID: .max, deviceID: UInt16(next(1 << 16)), classCode: 0xff_ffff, driver: "vfio-pci",
                    preserved: index % 2 == 0))
            snapshot.attachments.append(
                AttachmentRecord(
                    requester: requester, pasid: index % 3 == 0 ? PASID(UInt32(index)) : nil,
                    domain: DomainID(index % 4 == 0 ? 6 : 5),
                    entryAddress: index % 4 == 0 ? nil : PhysicalAddress(next() & ~7)))
        }
        var iova: UInt64 = 0
        for _ in 0..<size * 60 {
            iova += next(16) << 12
            let bytes = (1 + next(100)) << 12
            snapshot.areas.append(
                AreaRecord(
                    ioas: IOASID(4), range: IOVARange(first: IOVA(iova), bytes: bytes)!, backing: BackingID(1),
                    offset: next() & ~0xfff, protection: Protection(rawValue: UInt8(1 + next(3)))))
            iova += bytes
        }
        snapshot.lookupPages = [UnitPages(unit: UnitID(1), pages: pages(3))]
        if size > 0 { snapshot.tablePages = [DomainPages(domain: DomainID(5), pages: pages(size * 7))] }
        snapshot.normalize()
        return snapshot
    }

    private mutating func pages(_ count: Int) -> PageSet {
        var set = PageSet()
        var address: UInt64 = 0x1_0000_0000
        for index in 0..<count {
            address += (1 + next(4)) << 12
            let first = next()
            let words = (0..<512).map { index % 9 == 0 ? next() : first &+ UInt64($0) &* 4096 }
            set.append(address: PhysicalAddress(address), level: UInt8(next(5)), words: words)
        }
        return set
    }
}
