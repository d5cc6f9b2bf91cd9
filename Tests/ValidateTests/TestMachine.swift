import Hardware
import IOMMUModel
import PageTables
import Snapshot

@testable import Validate

/// A small machine: one VT-d unit, three devices with a paging domain each for two of them and pass-through for the
/// third.
///
/// Tables are written word by word, so that what a test expects does not come from the mapper.
struct TestMachine {
    static let ramBase: UInt64 = 0x1000_0000
    static let ramBytes: UInt64 = 0x40_0000
    /// Where the memory files' bytes are; not backed by host memory.
    static let fileBase: UInt64 = 0x4000_0000

    static let first = RequesterID(segment: 0, rid: 0x20)
    static let second = RequesterID(segment: 0, rid: 0x30)
    static let passing = RequesterID(segment: 0, rid: 0x38)

    var memory = PhysicalMemory()
    private var nextFrame = TestMachine.ramBase
    var rootTable = PhysicalAddress(0)
    var contextTable = PhysicalAddress(0)
    /// Roots of the domains 1 and 2.
    var roots: [PhysicalAddress] = []
    var snapshot = Snapshot(origin: .engine)

    init() throws {
        let region = try MappedRegion.anonymous(bytes: Int(Self.ramBytes))
        try memory.add(at: PhysicalAddress(Self.ramBase), byteCount: Self.ramBytes, region: region)
        rootTable = frame()
        contextTable = frame()
        write(VTDRootEntry(contextTable: contextTable).low, rootTable)
        roots = [frame(), frame()]
        enter(Self.first, VTDContextEntry(root: roots[0], width: .bits48, domainID: 5))
        enter(Self.second, VTDContextEntry(root: roots[1], width: .bits39, domainID: 6))
        enter(Self.passing, VTDContextEntry(passThroughWith: .bits48, domainID: 7))
        map(0, 0x10_0000, Self.fileBase, pages: 3)
        map(0, 0x20_0000, Self.fileBase + 0x20_0000, pages: 2, level: 1, .read)
        map(0, 0x8000_0000_0000 - 0x1000, Self.fileBase + 0x3000, pages: 1)
        map(1, 0x0, Self.fileBase + 0x100_0000, pages: 16, .readWrite)
        records()
        try record()
    }

    mutating func frame() -> PhysicalAddress {
        defer { nextFrame += 4096 }
        return PhysicalAddress(nextFrame)
    }

    func write(_ word: UInt64, _ address: PhysicalAddress) {
        precondition(memory.setWord(word, at: address), "no memory at \(address)")
    }

    func read(_ address: PhysicalAddress) -> UInt64 { memory.word(at: address)! }

    func contextEntry(_ device: RequesterID) -> PhysicalAddress {
        PhysicalAddress(contextTable.rawValue + UInt64(device.devfn) * 16)
    }

    func enter(_ device: RequesterID, _ entry: VTDContextEntry) {
        write(entry.low, contextEntry(device))
        write(entry.high, PhysicalAddress(contextEntry(device).rawValue + 8))
    }

    func topLevel(_ domain: Int) -> Int { domain == 0 ? 3 : 2 }

    /// The entry of `domain` that decides about `iova` at `level`, tables being made on the way.
    mutating func entry(_ domain: Int, _ iova: UInt64, level: Int) -> PhysicalAddress {
        var table = roots[domain]
        for current in (level...topLevel(domain)).reversed() {
            let place = PhysicalAddress(table.rawValue + (iova >> UInt64(12 + 9 * current) & 511) * 8)
            if current == level { return place }
            if read(place) == 0 { write(frame().rawValue | 3, place) }
            table = PhysicalAddress(read(place) & ~0xfff)
        }
        return table
    }

    mutating func map(
        _ domain: Int, _ iova: UInt64, _ pa: UInt64, pages: Int, level: Int = 0, _ protection: Protection = .readWrite
    ) {
        let size: UInt64 = 1 << UInt64(12 + 9 * level)
        for number in 0..<UInt64(pages) {
            let place = entry(domain, iova + number * size, level: level)
            write((pa + number * size) | UInt64(protection.rawValue) | (level > 0 ? 0x80 : 0), place)
        }
    }

    private mutating func records() {
        let unit = UnitID(1)
        snapshot.units = [
            UnitRecord(
                id: unit, kind: .intelVTd, segment: 0, registerBase: PhysicalAddress(0xfed9_0000), hostAddressWidth: 46,
                registers: [
                    .init(name: "rtaddr", value: rootTable.rawValue),
                    .init(
                        name: "cap",
                        value: VTDCapability(widths: [.bits39, .bits48], maximumGuestAddressWidth: 48).rawValue),
                    .init(name: "ecap", value: 1 << 6 | 1 << 7),
                    .init(name: "gsts", value: 0xc000_0000),
                ], accessedDirty: true)
        ]
        snapshot.memoryRanges = [
            MemoryRangeRecord(
                kind: .ram, range: PhysicalRange(first: PhysicalAddress(Self.ramBase), bytes: Self.ramBytes)!),
            MemoryRangeRecord(
                kind: .ram, range: PhysicalRange(first: PhysicalAddress(Self.fileBase), bytes: 0x1000_0000)!),
        ]
        let devices = [Self.first, Self.second, Self.passing]
        for (number, device) in devices.enumerated() {
            let id = UInt32(number + 1)
            snapshot.groups.append(GroupRecord(id: GroupID(id), owner: .vfio, ownerToken: 9))
            snapshot.devices.append(DeviceRecord(requester: device, unit: unit, group: GroupID(id), preserved: true))
            snapshot.reservedRegions.append(
                ReservedRegionRecord(group: GroupID(id), kind: .msi, range: VTDUnitHardware.interruptWindow))
            let kind: DomainKind = number < 2 ? .paging : .identity
            snapshot.domains.append(
                DomainRecord(id: DomainID(id), kind: kind, holder: .session, preserved: true))
            let geometry =
                number < 2
                ? DomainUnitRecord.Geometry(
                    format: .vtdSecondStage, root: roots[number], topLevel: UInt8(topLevel(number)),
                    addressBits: number == 0 ? 48 : 39, hardwareUpdatedMask: 0x300) : nil
            snapshot.domainUnits.append(DomainUnitRecord(domain: DomainID(id), unit: unit, tables: geometry))
            snapshot.attachments.append(
                AttachmentRecord(
                    requester: device, pasid: nil, domain: DomainID(id), cacheTag: 4 + id,
                    entryAddress: contextEntry(device)))
        }
        snapshot.sessions = [SessionRecord(id: SessionID(1), name: "vm")]
        snapshot.backings = [
            BackingRecord(
                id: BackingID(1), kind: .memfd, base: PhysicalAddress(Self.fileBase), byteCount: 0x200_0000,
                isSealed: true),
            BackingRecord(id: BackingID(2), kind: .physical, base: PhysicalAddress(0), byteCount: 0, isSealed: false),
        ]
        for id in [UInt32(1), 2] {
            snapshot.ioases.append(IOASRecord(id: IOASID(id), areaOrigin: .declared, isImmutable: true))
            snapshot.hwpts.append(
                HWPTRecord(id: HWPTID(id), ioas: IOASID(id), domain: DomainID(id), token: UInt64(id)))
        }
        area(1, 0x10_0000, bytes: 0x3000, offset: 0)
        area(1, 0x20_0000, bytes: 0x40_0000, offset: 0x20_0000, .read)
        area(1, 0x7fff_ffff_f000, bytes: 0x1000, offset: 0x3000)
        // Two areas over one run, of two backings.
        area(2, 0x0, bytes: 0x4000, offset: 0x100_0000)
        area(2, 0x4000, bytes: 0xc000, offset: Self.fileBase + 0x100_4000, backing: 2)
    }

    /// Records a nested domain that no device uses.
    mutating func nest(_ id: DomainID, in parent: DomainID?, format: PageTableFormatKind = .x86_64) {
        snapshot.domains.append(DomainRecord(id: id, kind: .nested, holder: .core, parent: parent))
        snapshot.domainUnits.append(
            DomainUnitRecord(
                domain: id, unit: UnitID(1),
                tables: .init(
                    format: format, root: PhysicalAddress(0x1234_5000), topLevel: 3, addressBits: 48,
                    signExtended: true,
                    hardwareUpdatedMask: 0x60)))
    }

    mutating func area(
        _ ioas: UInt32, _ iova: UInt64, bytes: UInt64, offset: UInt64, _ protection: Protection = .readWrite,
        backing: UInt32 = 1
    ) {
        snapshot.areas.append(
            AreaRecord(
                ioas: IOASID(ioas), range: IOVARange(first: IOVA(iova), bytes: bytes)!, backing: BackingID(backing),
                offset: offset, protection: protection))
    }

    /// Puts the pages that are in memory now into the snapshot.
    mutating func record() throws {
        snapshot.lookupPages = []
        snapshot.tablePages = []
        var lookups = PageSet()
        for (page, level) in [(rootTable, LookupLevel.vtdRoot), (contextTable, LookupLevel.vtdContext)].sorted(by: <) {
            lookups.append(address: page, level: level, words: memory.page(at: page)!)
        }
        snapshot.lookupPages = [UnitPages(unit: UnitID(1), pages: lookups)]
        for domain in 0..<2 {
            let configuration = PageTableConfiguration(topLevel: topLevel(domain), hostAddressWidth: 46)!
            let root = roots[domain]
            let tree = withMemory { Walker.scan(configuration, root: root, memory: $0) }
            var pages = PageSet()
            for node in tree.sortedNodes {
                pages.append(address: node.page, level: UInt8(node.level), words: memory.page(at: node.page)!)
            }
            snapshot.tablePages.append(DomainPages(domain: DomainID(UInt32(domain + 1)), pages: pages))
        }
    }

    /// The memory, which lives as long as `body` runs.
    func withMemory<R>(_ body: (MemoryView) throws -> R) rethrows -> R {
        try withExtendedLifetime(memory) { try body(memory.view) }
    }

    /// Audits `domain` against the memory as it is now.
    func audit(_ domain: UInt32, limit: Int = 1000) -> AuditReport {
        withMemory { Audit(snapshot, limit: limit).run(DomainID(domain), memory: $0) }
    }

    /// Checks what the snapshot says.
    func check() throws -> [Finding] { try Checker().check(snapshot) }
}
