import CReference
import Hardware
import IOMMUModel
import Measurement
import PageTables
import Snapshot
import Validate

/// The domains of profile X, all mapped in 4 KiB pages, with their record; and, for a compare, each domain's tables built
/// once more elsewhere.
final class AuditGround {
    /// What the tables are full of.
    enum Shape: String {
        /// Each domain is one run of addresses in some thousand areas that continue each other.
        case dense
        /// Runs of 1 to 64 pages to anywhere, an area each.
        case fragmented
    }

    private static let arenaBase: UInt64 = 0x40_0000_0000
    private static let leafTables = 96
    private static let domainCount = 1_024
    private static let hostAddressWidth = 46

    let memory: PhysicalMemory
    let snapshot: Snapshot
    /// Table pages of one set of trees.
    let tablePages: Int
    private let configuration: PageTableConfiguration
    private let audit: Audit
    private let roots: [(PhysicalAddress, rebuilt: PhysicalAddress)]
    private let words: UnsafePointer<UInt64>

    /// What is measured: one set of trees, or both where `isRebuilt`.
    init(_ shape: Shape, domains: Int = domainCount, isRebuilt: Bool = false) throws {
        ref_keep_memory()
        let frames = domains * (Self.leafTables + 4)
        let arenaBytes = frames * (isRebuilt ? 2 : 1) * 4096
        let region = try MappedRegion.anonymous(bytes: arenaBytes)
        region.base.initializeMemory(as: UInt8.self, repeating: 0xff, count: arenaBytes)
        var memory = PhysicalMemory()
        try memory.add(at: PhysicalAddress(Self.arenaBase), byteCount: UInt64(arenaBytes), region: region)
        let configuration = PageTableConfiguration(topLevel: 3, hostAddressWidth: Self.hostAddressWidth)!
        let range = PhysicalRange(first: PhysicalAddress(Self.arenaBase), bytes: UInt64(arenaBytes))!
        var arena = try TableArena(ranges: [range], memory: memory.view)
        var snapshot = Self.host()
        var roots: [(PhysicalAddress, rebuilt: PhysicalAddress)] = []
        var random = SplitMix(seed: 0xa0d17)
        for number in 1...domains {
            let areas = Self.areas(shape, IOASID(UInt32(number)), &random)
            snapshot.areas += areas
            roots.append((try Self.map(areas, configuration, memory, &arena), PhysicalAddress(0)))
        }
        tablePages = (arena.allocatedCount)
        for number in 1...domains {
            Self.record(number, root: roots[number - 1].0, configuration, memory, in: &snapshot)
            if isRebuilt {
                let areas = snapshot.areas.filter { $0.ioas == IOASID(UInt32(number)) }
                roots[number - 1].rebuilt = try Self.map(areas, configuration, memory, &arena)
            }
        }
        snapshot.normalize()
        self.memory = memory
        self.snapshot = snapshot
        self.configuration = configuration
        self.roots = roots
        audit = Audit(snapshot)
        words = UnsafeRawPointer(region.base).assumingMemoryBound(to: UInt64.self)
    }

    /// Bytes that the files of a fragmented host lie in: addresses of 44 bits.
    private static let backing = BackingRecord(
        id: BackingID(1), kind: .memfd, base: PhysicalAddress(0x100_0000_0000), byteCount: 1 << 43, isSealed: true)

    private static func host() -> Snapshot {
        var snapshot = Snapshot(origin: .engine)
        let capability = VTDCapability(widths: [.bits39, .bits48], maximumGuestAddressWidth: 48)
        snapshot.units = [
            UnitRecord(
                id: UnitID(0), kind: .intelVTd, segment: 0, registerBase: PhysicalAddress(0xfed9_0000),
                hostAddressWidth: UInt8(hostAddressWidth),
                registers: [
                    .init(name: "cap", value: capability.rawValue), .init(name: "ecap", value: 0),
                    .init(name: "gsts", value: 0), .init(name: "rtaddr", value: 0),
                ])
        ]
        snapshot.backings = [backing]
        return snapshot
    }

    private static func areas(_ shape: Shape, _ ioas: IOASID, _ random: inout SplitMix) -> [AreaRecord] {
        let end = UInt64(leafTables) * 512
        var page: UInt64 = 0
        var areas: [AreaRecord] = []
        var offset = random.next() % (1 << 30)
        while page < end {
            let count = min(random.next() % (shape == .dense ? 96 : 64) + 1, end - page)
            if shape == .fragmented { offset = random.next() % (1 << 30) }
            areas.append(
                AreaRecord(
                    ioas: ioas, range: IOVARange(first: IOVA(page << 12), bytes: count << 12)!, backing: backing.id,
                    offset: offset << 12, protection: .readWrite))
            page += count
            offset += count
        }
        return areas
    }

    private static func map(
        _ areas: [AreaRecord], _ configuration: PageTableConfiguration, _ memory: PhysicalMemory,
        _ arena: inout TableArena
    ) throws -> PhysicalAddress {
        var table = try PageTable.create(configuration, arena: &arena, memory: memory.view)
        for area in areas {
            // Page by page: no larger leaves.
            for page in 0...area.range.lastOffset >> 12 {
                try table.map(
                    iova: IOVA(area.range.first.rawValue + page << 12),
                    pa: PhysicalAddress(backing.base.rawValue + area.offset + page << 12), byteCount: 4096,
                    protection: area.protection, memory: memory.view, arena: &arena)
            }
        }
        return table.root
    }

    private static func record(
        _ number: Int, root: PhysicalAddress, _ configuration: PageTableConfiguration, _ memory: PhysicalMemory,
        in snapshot: inout Snapshot
    ) {
        let (id, ioas) = (DomainID(UInt32(number)), IOASID(UInt32(number)))
        snapshot.domains.append(DomainRecord(id: id, kind: .paging, holder: .session, preserved: true))
        snapshot.domainUnits.append(
            DomainUnitRecord(
                domain: id, unit: UnitID(0),
                tables: .init(
                    format: .vtdSecondStage, root: root, topLevel: UInt8(configuration.topLevel), addressBits: 48)))
        snapshot.ioases.append(IOASRecord(id: ioas, areaOrigin: .declared, isImmutable: true))
        snapshot.hwpts.append(HWPTRecord(id: HWPTID(UInt32(number)), ioas: ioas, domain: id, token: UInt64(number)))
        var pages = PageSetBuilder()
        _ = Walker.scan(TranslationStage(configuration: configuration, root: root), memory: memory.view) { table in
            pages.add(address: table.page, level: UInt8(table.level), words: table.words, ends: table.ends)
        }
        snapshot.tablePages.append(DomainPages(domain: id, pages: pages.finish()))
    }

    /// All domains; answers the pages.
    func run(threads: Int = 1) throws -> UInt64 {
        var pages = 0
        for report in audit.run(audit.domains, memory: memory.view, threads: threads) {
            guard report.findings.isEmpty, report.witness == .independent else { throw Errno.EIO }
            pages += report.tablePages
        }
        return UInt64(pages)
    }

    /// Each domain's two trees.
    func compare() throws -> UInt64 {
        var bytes: UInt64 = 0
        for (old, new) in roots {
            let result = TreeComparison.compare(configuration, root: old, configuration, root: new, memory: memory.view)
            guard case .equal(let mapped) = result else { throw Errno.EIO }
            bytes += mapped
        }
        guard bytes == UInt64(roots.count * Self.leafTables) << 21 else { throw Errno.EIO }
        return UInt64(tablePages * 2)
    }

    /// The plain sum of the words of `count` sets of trees.
    func sum(_ count: Int = 1) -> UInt64 {
        ref_sum(words, tablePages * count * 512) == 0 ? 0 : UInt64(tablePages * count)
    }
}

extension Benchmark {
    /// Audit of the domains of profile X on one core, beside the plain sum of the words of their tables.
    public static func auditLargest(isDense: Bool) throws -> Benchmark {
        let shape: AuditGround.Shape = isDense ? .dense : .fragmented
        let ground = try AuditGround(shape)
        return Benchmark(
            name: "audit-\(shape.rawValue)",
            summary: "profile X in \(shape.rawValue) tables: audit of \(ground.tablePages) pages and "
                + "\(ground.snapshot.areas.count) areas on one core, per page, beside the sum of their words in C",
            goal: isDense ? 2 : 1 / 0.3,
            subject: Side(label: "audit", operations: ground.tablePages, run: { _ in try ground.run() }),
            reference: Side(label: "sum", operations: ground.tablePages, run: { _ in ground.sum() }))
    }

    /// Audit of the domains of profile X on two cores, beside the same on one.
    public static func auditOnTwoCores() throws -> Benchmark {
        let ground = try AuditGround(.fragmented)
        return Benchmark(
            name: "audit-threads",
            summary: "profile X in fragmented tables: audit on two threads, per page, beside one", goal: 1 / 1.6,
            clock: .wall,
            subject: Side(label: "two", operations: ground.tablePages, run: { _ in try ground.run(threads: 2) }),
            reference: Side(label: "one", operations: ground.tablePages, run: { _ in try ground.run() }))
    }

    /// Compare of the domains of profile X with the same ones built anew, beside the plain sum of the words of both.
    public static func compareLargest(isDense: Bool) throws -> Benchmark {
        let shape: AuditGround.Shape = isDense ? .dense : .fragmented
        let ground = try AuditGround(shape, isRebuilt: true)
        return Benchmark(
            name: "compare-\(shape.rawValue)",
            summary:
                "profile X in \(shape.rawValue) tables: compare of \(ground.tablePages) pages with as many, per page, "
                + "beside the sum of the words of both in C",
            goal: 2.5,
            subject: Side(label: "compare", operations: ground.tablePages * 2, run: { _ in try ground.compare() }),
            reference: Side(label: "sum", operations: ground.tablePages * 2, run: { _ in ground.sum(2) }))
    }
}
