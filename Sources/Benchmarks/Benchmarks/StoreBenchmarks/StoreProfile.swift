import IOMMUModel
import Measurement
import Snapshot

/// A host of the size that a goal is set for (design/quality.md): records as a seal gets them. The tables are such as they
/// are found on real hosts, but translate nothing: the store does not follow them.
struct StoreProfile {
    let name: String
    let devices: Int
    /// Attachments with a PASID.
    let tagged: Int
    let domains: Int
    let areas: Int
    let tablePages: Int
    /// Areas and table words as irregular as can be.
    var isHostile = false

    static let s = StoreProfile(name: "S", devices: 8, tagged: 0, domains: 1, areas: 64, tablePages: 66)
    static let l = StoreProfile(
        name: "L", devices: 4_096, tagged: 10_000, domains: 1_024, areas: 10_000, tablePages: 15_000)
    static let x = StoreProfile(
        name: "X", devices: 1_024, tagged: 10_000, domains: 1_024, areas: 1_000_000, tablePages: 100_000)
    static let hostile = StoreProfile(
        name: "X, hostile", devices: 1_024, tagged: 10_000, domains: 1_024, areas: 1_000_000, tablePages: 100_000,
        isHostile: true)

    /// In words.
    var summary: String {
        "profile \(name): \(devices) devices, \(tagged) PASIDs, \(domains) domains, \(areas) areas, \(tablePages) table "
            + "pages"
    }

    /// The same at each call.
    func snapshot() -> Snapshot {
        var random = SplitMix(seed: 0x5707e)
        var snapshot = Snapshot(origin: .engine)
        addMachine(to: &snapshot)
        for number in 0..<domains { addDomain(number, &random, to: &snapshot) }
        for number in 0..<devices { addDevice(number, to: &snapshot) }
        for number in 0..<tagged {
            snapshot.attachments.append(
                AttachmentRecord(
                    requester: requester(number % devices), pasid: PASID(UInt32(number / devices + 1)),
                    domain: domain(number), cacheTag: UInt32(number % domains + 1),
                    cachePASID: PASID(UInt32(number / devices + 1)), entryAddress: entry(number)))
        }
        snapshot.normalize()
        return snapshot
    }

    private func addMachine(to snapshot: inout Snapshot) {
        snapshot.units = [
            UnitRecord(
                id: UnitID(0), kind: .intelVTd, segment: 0, registerBase: PhysicalAddress(0xfed9_0000),
                hostAddressWidth: 46, registers: [.init(name: "cap", value: 1), .init(name: "ecap", value: 2)])
        ]
        snapshot.backings = [
            BackingRecord(
                id: BackingID(1), kind: .memfd, base: PhysicalAddress(0x10_0000_0000), byteCount: 1 << 44,
                isSealed: true)
        ]
        snapshot.sessions = [SessionRecord(id: SessionID(1), name: "guests")]
    }

    private func domain(_ number: Int) -> DomainID { DomainID(UInt32(number % domains + 1)) }
    private func requester(_ number: Int) -> RequesterID { RequesterID(segment: 0, rid: UInt16(number)) }
    private func entry(_ number: Int) -> PhysicalAddress { PhysicalAddress(0x1000_0000 + UInt64(number) << 6) }

    private func addDevice(_ number: Int, to snapshot: inout Snapshot) {
        let group = GroupID(UInt32(number))
        snapshot.groups.append(GroupRecord(id: group, owner: .vfio, ownerToken: 1))
        snapshot.devices.append(
            DeviceRecord(
                requester: requester(number), unit: UnitID(0), group: group, vendorID: 0x8086, deviceID: 0x1572,
                classCode: 0x02_0000, driver: "vfio-pci", preserved: true))
        snapshot.attachments.append(
            AttachmentRecord(
                requester: requester(number), pasid: nil, domain: domain(number),
                cacheTag: UInt32(number % domains + 1), entryAddress: entry(tagged + number)))
    }

    /// The numbers from `number * count / parts` on.
    private static func share(_ number: Int, of parts: Int, _ count: Int) -> Range<Int> {
        number * count / parts..<(number + 1) * count / parts
    }

    private func addDomain(_ number: Int, _ random: inout SplitMix, to snapshot: inout Snapshot) {
        let (id, ioas) = (domain(number), IOASID(UInt32(number + 1)))
        let pages = Self.share(number, of: domains, tablePages)
        snapshot.domains.append(DomainRecord(id: id, kind: .paging, holder: .session, preserved: true))
        snapshot.domainUnits.append(
            DomainUnitRecord(
                domain: id, unit: UnitID(0),
                tables: .init(format: .vtdSecondStage, root: page(pages.lowerBound), topLevel: 3, addressBits: 48)))
        snapshot.ioases.append(IOASRecord(id: ioas, areaOrigin: .declared, isImmutable: true))
        snapshot.hwpts.append(
            HWPTRecord(id: HWPTID(UInt32(number + 1)), ioas: ioas, domain: id, token: UInt64(number + 1)))
        addAreas(Self.share(number, of: domains, areas).count, ioas, &random, to: &snapshot)
        var set = PageSet()
        var words = [UInt64](repeating: 0, count: 512)
        for page in pages {
            fill(&words, page, &random)
            set.append(address: self.page(page), level: page == pages.lowerBound ? 3 : 0, words: words)
        }
        snapshot.tablePages.append(DomainPages(domain: id, pages: set))
    }

    private func page(_ number: Int) -> PhysicalAddress { PhysicalAddress(0x40_0000_0000 + UInt64(number) << 12) }

    /// Of 4 KiB to 2 MiB, three of four in a row with the one before (reference/measurements.md).
    private func addAreas(_ count: Int, _ ioas: IOASID, _ random: inout SplitMix, to snapshot: inout Snapshot) {
        var (iova, offset): (UInt64, UInt64) = (0x10_0000, 0)
        for _ in 0..<count {
            let bytes: UInt64 = isHostile ? (random.next() % 512 + 1) << 12 : 4096 << (random.next() % 10)
            if isHostile || random.next() % 4 == 0 {
                iova += (random.next() % 1024 + 1) << 12
                offset = (random.next() % (1 << 30)) << 12
            }
            snapshot.areas.append(
                AreaRecord(
                    ioas: ioas, range: IOVARange(first: IOVA(iova), bytes: bytes)!, backing: BackingID(1),
                    offset: offset,
                    protection: isHostile ? [.read, .write, .readWrite][Int(offset >> 12 % 3)] : .readWrite))
            iova += bytes
            offset += bytes
        }
    }

    /// One table in eight is fragmented: runs of 1 to 64 leaves. The others are one run. Hostile ones: one in eight is
    /// noise, the others are fragmented.
    private func fill(_ words: inout [UInt64], _ page: Int, _ random: inout SplitMix) {
        let isOdd = page % 8 == 7
        var index = 0
        while index < 512 {
            let count = isHostile && isOdd ? 1 : isHostile || isOdd ? Int(random.next() % 64) + 1 : 512
            var word = random.next() & 0x3fff_ffff_f000 | 3
            for _ in 0..<min(count, 512 - index) {
                words[index] = word
                index += 1
                word += 4096
            }
        }
    }
}
