import Hardware
import IOMMUModel
import Import
import PageTables
import Snapshot
import Testing
import Validate

/// Images that want an importer to work for ever: every import ends, within its budgets, and so does what reads it.
struct HostileImageTests {
    static let options = ImportOptions(
        pageBudget: 150, runBudget: 20_000, lookupBudget: LookupBudget(pageUses: 3000, pasids: 2000))

    /// The pages that each domain has recorded, as (address, level).
    private struct Place: Hashable {
        var address: PhysicalAddress
        var level: UInt8
    }

    /// No page twice at one level of a domain, nothing beyond the budgets.
    private func checkBounds(_ snapshot: Snapshot, _ options: ImportOptions) {
        for pages in snapshot.tablePages.map(\.pages) + snapshot.lookupPages.map(\.pages) {
            let places = Set(pages.entries.map { Place(address: $0.address, level: $0.level) })
            #expect(places.count == pages.count, "a page is recorded twice at one level")
        }
        let domains = snapshot.tablePages.map(\.domain)
        #expect(Set(domains).count == domains.count)
        #expect(snapshot.tablePages.reduce(0) { $0 + $1.pages.count } <= options.pageBudget)
        #expect(snapshot.areas.count <= options.runBudget)
        let tagged = snapshot.attachments.count { $0.pasid != nil }
        #expect(tagged <= options.lookupBudget.pasids)
    }

    /// All that reads an import, with budgets alike.
    private func read(_ snapshot: Snapshot) throws {
        let machine = try RecordedMachine(snapshot, lookups: Self.options.lookupBudget)
        let scan = ScanBudget(pages: 200, runs: 5000, defects: 100)
        let limits = Checker.Limits(
            findingsPerRule: 50, scan: scan, allScans: ScanBudget(pages: 1000, runs: 20_000, defects: 500))
        let findings = Checker(limits: limits).check(machine)
        #expect(!findings.isEmpty)
        for device in snapshot.devices.prefix(2) {
            var told = 0
            machine.forEachMapping(device: device.requester, pasid: .some(nil), budget: scan) { _ in
                told += 1
                return true
            }
            #expect(told <= 5000)
        }
        for attachment in snapshot.attachments.prefix(70).suffix(4) {
            #expect(
                machine.trace(device: attachment.requester, pasid: attachment.pasid, iova: IOVA(0x1234_5000)) != nil)
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: HostileImage.Kind.allCases, HostileImage.Tables.allCases)
    func `An import ends within its budgets and takes no page twice`(
        kind: HostileImage.Kind, tables: HostileImage.Tables
    ) throws {
        let image = try HostileImage(kind)
        image.fill(tables)
        image.enterAll()
        let snapshot = try Importer.importMachine(try image.image(), options: Self.options)
        #expect(!snapshot.attachments.isEmpty && !snapshot.tablePages.isEmpty)
        // Not only the roots: the shapes differ in how many ways lead to how many pages.
        #expect(snapshot.tablePages.reduce(0) { $0 + $1.pages.count } >= 60)
        checkBounds(snapshot, Self.options)
        try read(snapshot)
    }

    @Test(.timeLimit(.minutes(2)), arguments: HostileImage.Kind.allCases, HostileImage.Tables.allCases)
    func `One tree decodes each page once per level, however many ways lead to it`(
        kind: HostileImage.Kind, tables: HostileImage.Tables
    ) throws {
        let image = try HostileImage(kind)
        image.fill(tables)
        let root = HostileImage.tables.lowerBound
        image.enterAll(roots: root..<root + 1)
        let snapshot = try Importer.importMachine(try image.image(), options: Self.options)
        checkBounds(snapshot, Self.options)
        let levels = 4
        for domain in snapshot.tablePages {
            #expect((1...levels * HostileImage.tables.count).contains(domain.pages.count))
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: [HostileImage.Kind.scalable, .amd])
    func `Two stages everywhere end too`(kind: HostileImage.Kind) throws {
        let image = try HostileImage(kind)
        image.fill(.everyPage)
        image.enterAll(nested: true)
        let snapshot = try Importer.importMachine(try image.image(), options: Self.options)
        #expect(snapshot.domains.contains { $0.kind == .nested })
        checkBounds(snapshot, Self.options)
        try read(snapshot)
    }

    @Test(arguments: [HostileImage.Kind.scalable, .amd])
    func `Every PASID of every device is listed up to the budget, which is told`(kind: HostileImage.Kind) throws {
        let image = try HostileImage(kind)
        image.fill(.selfLoops)
        image.enterAll()
        let snapshot = try Importer.importMachine(try image.image(), options: Self.options)
        let tagged = snapshot.attachments.count { $0.pasid != nil }
        #expect((1000...2000).contains(tagged))
        let machine = try RecordedMachine(snapshot, lookups: Self.options.lookupBudget)
        let listing = try #require(machine.units[0].listing)
        #expect(listing.defects.count { $0.rule == .tableBudgetExceeded } == 1)
    }

    @Test(arguments: HostileImage.Kind.allCases)
    func `Every device is listed up to the budget, which is told`(kind: HostileImage.Kind) throws {
        let image = try HostileImage(kind)
        image.enterAll()
        if kind == .scalable {
            // One PASID table of one entry, so that no other budget is spent.
            let context = VTDScalableContextEntry(
                directory: HostileImage.page(2), directorySizeCode: 0, pasidEnabled: true)
            for devfn in 0..<128 { image.set(1, devfn * 4, context.words) }
            for index in 1..<512 { image.set(2, index, [0]) }
            image.set(34, 8, Array(repeating: 0, count: 504))
        }
        var options = Self.options
        options.lookupBudget.devices = 100
        let snapshot = try Importer.importMachine(try image.image(), options: options)
        #expect(Set(snapshot.attachments.map(\.requester)).count == 100)
        // What was imported is within the budget: the record is not short, the image is.
        for (devices, count) in [(100, 100), (99, 99), (1 << 16, nil)] as [(Int, Int?)] {
            options.lookupBudget.devices = devices
            let machine = try RecordedMachine(snapshot, lookups: options.lookupBudget)
            let listing = try #require(machine.units[0].listing)
            let found = Set(listing.entries.map(\.rid)).count
            #expect(count.map { found == $0 } ?? (found > 100))
            #expect(listing.defects.contains { $0.message.contains("too many devices") } == (count != nil))
        }
    }

    @Test func `Leaves without rights are charged to the budget of runs`() throws {
        let image = try HostileImage(.amd)
        // All entries of three levels lead to one page of leaves that give nothing.
        let first = HostileImage.tables.lowerBound
        for level in 1...3 {
            let entry = image.pointer(first + 4 - level, level: level)
            for index in 0..<512 { image.set(first + 3 - level, index, [entry]) }
        }
        for index in 0..<512 { image.set(first + 3, index, [UInt64(index * 2 + 1) << 12 | 1]) }
        image.enterAll(roots: first..<first + 1)
        let memory = try image.image().memory
        let configuration = try #require(
            PageTableConfiguration(format: .amdV1, topLevel: 3, hostAddressWidth: 46))
        let tree = withExtendedLifetime(memory) {
            Walker.scan(
                configuration, root: HostileImage.page(first), memory: memory.view, budget: ScanBudget(runs: 5000))
        }
        var runs = tree.runCursor()
        #expect(runs.next() == nil)
        #expect(runs.budgetExceededAt != nil && runs.visited == 5000)
    }

    @Test func `One check has one budget for all trees, and says when it is spent`() throws {
        let image = try HostileImage(.legacy)
        image.fill(.fanIn)
        image.enterAll()
        let snapshot = try Importer.importMachine(try image.image(), options: Self.options)
        let scan = ScanBudget(pages: 100, runs: 1000, defects: 10)
        func leftOut(_ all: ScanBudget) throws -> [Finding] {
            let limits = Checker.Limits(findingsPerRule: 100, scan: scan, allScans: all)
            return Checker(limits: limits).check(try RecordedMachine(snapshot)).filter {
                $0.rule == .tableBudgetExceeded && $0.message.contains("trees are left out")
            }
        }
        #expect(try leftOut(ScanBudget(pages: 1000, runs: 3000, defects: 1000)).count == 1)
        #expect(try leftOut(ScanBudget(pages: 5, runs: 1 << 20, defects: 1000)).count == 1)
        #expect(try leftOut(ScanBudget()).isEmpty)
    }

    @Test(arguments: [(HostileImage.Kind.legacy, false), (.scalable, true), (.amd, false)])
    func `One listing of mappings has one budget for all trees, and says what it leaves out`(
        kind: HostileImage.Kind, nested: Bool
    ) throws {
        let image = try HostileImage(kind)
        image.fill(.everyPage)
        image.enterAll(nested: nested)
        let snapshot = try Importer.importMachine(try image.image(), options: Self.options)
        let machine = try RecordedMachine(snapshot, lookups: Self.options.lookupBudget)
        let ways = machine.units[0].listing?.entries.count ?? 0
        func list(_ total: ScanBudget) -> (told: Int, end: MappingsEnd) {
            var told = 0
            let end = machine.forEachMapping(budget: ScanBudget(pages: 200, runs: 500), total: total) { _ in
                told += 1
                return true
            }
            return (told, end)
        }
        func missing(_ end: MappingsEnd) -> Int {
            if case .budgetExceeded(_, _, let requests) = end { requests } else { 0 }
        }
        #expect(ways > 100)
        let runs = list(ScanBudget(pages: .max, runs: 1000))
        #expect(missing(runs.end) > 0 && missing(runs.end) <= ways)
        #expect(runs.told <= 1500)
        let pages = list(ScanBudget(pages: 50, runs: .max))
        #expect(missing(pages.end) > 0 && missing(pages.end) <= ways)
        // The fewer are told, the more are missing; none is without a word.
        #expect(missing(list(ScanBudget(pages: .max, runs: 1)).end) >= ways - 1)
        let first = try #require(snapshot.devices.map(\.requester).min())
        #expect(list(ScanBudget(pages: 0, runs: 0)).end == .budgetExceeded(device: first, pasid: nil, requests: ways))
    }
}
