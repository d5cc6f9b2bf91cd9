import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Synchronization
import Testing

@testable import Validate

@Suite struct AuditTests {
    @Test func `untouched memory passes, with an independent witness when areas are declared`() throws {
        var machine = try TestMachine()
        let report = machine.audit(1)
        #expect(report.isClean && report.findings.isEmpty)
        #expect(report.witness == .independent)
        #expect(report.tablePages == machine.snapshot.tablePages[0].pages.count)
        #expect(report.areas == 3 && report.runs == 3)
        #expect(report.mappedBytes == 0x3000 + 0x40_0000 + 0x1000)
        machine.snapshot.ioases[0].areaOrigin = .derived
        #expect(machine.audit(1).witness == .none)
        #expect(Audit(machine.snapshot).domains == [DomainID(1), DomainID(2)])
    }

    @Test func `a changed leaf is named by IOVA, level and entry address`() throws {
        var machine = try TestMachine()
        let place = machine.entry(0, 0x10_1000, level: 0)
        let recorded = machine.read(place)
        machine.write(recorded ^ 0x4000, place)
        let report = machine.audit(1)
        #expect(
            report.tableDifferences == [
                TableDifference(
                    entryAddress: place, level: 0, range: IOVARange(first: IOVA(0x10_1000), bytes: 0x1000),
                    recorded: recorded, found: recorded ^ 0x4000)
            ])
        #expect(report.findings.map(\.rule) == [.tableMemoryDiffers, .areaAddressDiffers])
        #expect(report.findings.allSatisfy { $0.iova == IOVA(0x10_1000) && $0.address == place })
        #expect(report.findings.allSatisfy { $0.device == TestMachine.first })
        #expect(machine.audit(2).isClean)
    }

    @Test func `bits that the hardware updates do not count, others of the same word do`() throws {
        var machine = try TestMachine()
        for domain in [(0, UInt64(0x10_0000), 0), (0, 0x20_0000, 1), (0, 0x10_0000, 1)] {
            let place = machine.entry(domain.0, domain.1, level: domain.2)
            machine.write(machine.read(place) | 0x300, place)
        }
        #expect(machine.audit(1).isClean)
        // In one page with an accessed entry, only the changed one is named.
        let changed = machine.entry(0, 0x10_2000, level: 0)
        let sound = machine.read(changed)
        machine.write(sound ^ 0x8000 | 0x100, changed)
        #expect(machine.audit(1).tableDifferences.map(\.entryAddress) == [changed])
        machine.write(sound, changed)
        machine.snapshot.domainUnits[0].tables?.hardwareUpdatedMask = 0
        let report = machine.audit(1)
        #expect(report.tableDifferenceCount == 3)
        #expect(report.findings.allSatisfy { $0.rule == .tableMemoryDiffers })
    }

    @Test(arguments: [nil, 1, 2, 7])
    func `domains are audited at once as they are one by one, and counted`(threads: Int?) throws {
        var machine = try TestMachine()
        let place = machine.entry(1, 0, level: 0)
        machine.write(machine.read(place) ^ 0x4000, place)
        let audit = Audit(machine.snapshot)
        let domains = Array(repeating: audit.domains, count: 20).flatMap(\.self)
        machine.withMemory { memory in
            let told = Mutex<[Int]>([])
            let reports = audit.run(domains, memory: memory, threads: threads) { done in
                told.withLock { $0.append(done) }
            }
            #expect(reports == domains.map { audit.run($0, memory: memory) })
            #expect(reports.contains { !$0.isClean } && reports.contains { $0.isClean })
            #expect(told.withLock(\.self) == Array(1...40))
        }
    }

    @Test(arguments: 0..<64 as Range<UInt64>)
    func `the lowest table page of a range is found, wherever they lie`(seed: UInt64) {
        var state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1
        func random() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 20
        }
        // Side by side, or anywhere in 2^44 bytes.
        let spread: UInt64 = [64, 1 << 12, 1 << 32][Int(seed % 3)]
        let pages = Set((0..<random() % 200).map { _ in PhysicalAddress(0x1000_0000 + (random() % spread) << 12) })
            .sorted()
        let frames = TableFrames(pages)
        if pages.isEmpty { #expect(frames.lowest(0, .max) == nil && frames.lowest(1, 2) == nil) }
        for _ in 0..<400 {
            let near = pages.isEmpty ? 0x1000_0000 : pages[Int(random() % UInt64(pages.count))].rawValue
            let first =
                random() % 2 == 0 ? near &- 0x4000 &+ random() % 0x8000 : 0x1000_0000 + random() % (spread << 12)
            let last = first + random() % [1, 0x1000, 0x40_0000, spread << 12][Int(random() % 4)]
            #expect(
                frames.lowest(first, last) == pages.first { $0.rawValue | 0xfff >= first && $0.rawValue <= last })
        }
    }

    @Test func `a record cannot say that other bits are the hardware's`() throws {
        var machine = try TestMachine()
        machine.snapshot.domainUnits[0].tables?.hardwareUpdatedMask = .max
        let place = machine.entry(0, 0x10_1000, level: 0)
        machine.write(machine.read(place) ^ 0x4000, place)
        #expect(machine.audit(1).findings.map(\.rule) == [.tableMemoryDiffers, .areaAddressDiffers])
    }

    @Test func `a changed area is found against the tables in memory`() throws {
        var machine = try TestMachine()
        machine.snapshot.areas[0].offset = 0x1000
        let report = machine.audit(1)
        #expect(report.findings.map(\.rule) == [.areaAddressDiffers])
        #expect(report.findings.first?.iova == IOVA(0x10_0000))
        #expect(report.findings.first?.address == machine.entry(0, 0x10_0000, level: 0))
        #expect(report.tableDifferenceCount == 0)
    }

    @Test func `every difference is counted, only the first ones are listed`() throws {
        var machine = try TestMachine()
        for page in UInt64(0)..<16 { machine.write(0, machine.entry(1, page * 4096, level: 0)) }
        let report = machine.audit(2, limit: 4)
        #expect(report.tableDifferenceCount == 16)
        #expect(report.tableDifferences.count == 4)
        #expect(report.areaDifferenceCount == 2)
        #expect(report.findings.count == 6)
    }

    @Test func `a table page that memory does not hold differs`() throws {
        let machine = try TestMachine()
        var lost = machine
        lost.memory = PhysicalMemory()
        let report = lost.audit(1)
        #expect(report.tableDifferenceCount == machine.snapshot.tablePages[0].pages.count)
        #expect(report.tableDifferences.allSatisfy { $0.found == nil && $0.range != nil })
        #expect(!report.isClean)
    }

    @Test(arguments: [0, 1])
    func `a changed word of a context entry is found at its address`(word: UInt64) throws {
        let machine = try TestMachine()
        let place = PhysicalAddress(machine.contextEntry(TestMachine.first).rawValue + word * 8)
        let audit = try LookupAudit(machine.snapshot)
        #expect(machine.withMemory { audit.check(TestMachine.first, live: $0) }.isEmpty)
        machine.write(machine.read(place) ^ 0x1000, place)
        let findings = machine.withMemory { audit.check(TestMachine.first, live: $0) }
        #expect(findings.map(\.rule) == [.lookupMemoryDiffers])
        #expect(findings.map(\.address) == [place])
        #expect(machine.withMemory { audit.check(TestMachine.second, live: $0) }.isEmpty)
    }

    @Test func `a changed root entry concerns every device of its bus`() throws {
        let machine = try TestMachine()
        machine.write(0, machine.rootTable)
        let audit = try LookupAudit(machine.snapshot)
        for device in [TestMachine.first, TestMachine.second] {
            #expect(machine.withMemory { audit.check(device, live: $0) }.map(\.address) == [machine.rootTable])
        }
    }

    /// The entries on the way of the untagged requests and of PASID 64 of the first device, in words from their places.
    private static func places(_ machine: inout PASIDMachine) -> [(PhysicalAddress, PASID?)] {
        let device = PASIDMachine.first
        let root = machine.vendor == .intel ? [(machine.rootTable, nil as PASID?)] : []
        return root + [
            (machine.deviceEntry(device), nil), (machine.upperEntry(device, 0), nil), (machine.entry(device, 0), nil),
            (machine.entry(device, 1), PASID(1)), (machine.entry(device, 64), PASID(64)),
        ]
    }

    @Test(arguments: PASIDMachine.Vendor.allCases)
    func `every entry on the way of each PASID is compared with memory`(vendor: PASIDMachine.Vendor) throws {
        var machine = try PASIDMachine(vendor)
        let audit = try LookupAudit(machine.snapshot)
        for device in [PASIDMachine.first, PASIDMachine.second, PASIDMachine.passing, PASIDMachine.nesting] {
            #expect(machine.withMemory { audit.check(device, live: $0) } == [])
        }
        for (place, pasid) in Self.places(&machine) {
            let word = machine.read(place)
            machine.write(word ^ 0x1000, place)
            let found = machine.withMemory { audit.check(PASIDMachine.first, live: $0) }
            #expect(found.map(\.rule) == [.lookupMemoryDiffers] && found.map(\.address) == [place], "\(place)")
            #expect(found.map(\.pasid) == [pasid], "\(place)")
            machine.write(word, place)
        }
        // What is no entry of the device's.
        let stranger = machine.entry(PASIDMachine.nesting, 100)
        machine.write(0, stranger)
        #expect(machine.withMemory { audit.check(PASIDMachine.first, live: $0) } == [])
        #expect(machine.withMemory { audit.check(PASIDMachine.nesting, live: $0) }.map(\.address) == [stranger])
    }

    @Test func `VT-d: the other half of a root entry is another device's`() throws {
        let machine = try PASIDMachine(.intel)
        let audit = try LookupAudit(machine.snapshot)
        machine.write(0x7000_0001, PhysicalAddress(machine.rootTable.rawValue + 8))
        #expect(machine.withMemory { audit.check(PASIDMachine.first, live: $0) } == [])
    }

    @Test(arguments: PASIDMachine.Vendor.allCases)
    func `a lookup page that the record lacks is told`(vendor: PASIDMachine.Vendor) throws {
        var machine = try PASIDMachine(vendor)
        let table = machine.entry(PASIDMachine.first, 0).pageBase
        var pages = PageSet()
        for entry in machine.snapshot.lookupPages[0].pages.entries where entry.address != table {
            pages.append(address: entry.address, level: entry.level, words: machine.memory.page(at: entry.address)!)
        }
        machine.snapshot.lookupPages[0].pages = pages
        let audit = try LookupAudit(machine.snapshot)
        let found = machine.withMemory { audit.check(PASIDMachine.first, live: $0) }
        #expect(found.map(\.rule) == [.lookupPageUnknown])
        #expect(found.map(\.address) == [machine.upperEntry(PASIDMachine.first, 0)])
    }

    @Test(arguments: PASIDMachine.Vendor.allCases)
    func `nested domains are not audited, their parent is, under its guest's name`(vendor: PASIDMachine.Vendor) throws {
        var machine = try PASIDMachine(vendor)
        let audit = Audit(machine.snapshot)
        #expect(audit.domains == [1, 2, 3, 5].map { DomainID($0) })
        for domain in audit.domains {
            #expect(machine.withMemory { audit.run(domain, memory: $0) }.findings == [], "domain \(domain)")
        }
        let place = machine.entry(of: 5, 0x3000, level: 0)
        machine.write(machine.read(place) ^ 0x4000, place)
        let found = machine.withMemory { audit.run(DomainID(5), memory: $0) }.findings
        #expect(found.map(\.rule) == [.tableMemoryDiffers, .areaAddressDiffers])
        #expect(found.allSatisfy { $0.device == PASIDMachine.nesting && $0.pasid == PASID(100) && $0.address == place })
    }

    @Test func `an upper half of a sign-extended tree is named by its own addresses`() throws {
        var machine = try PASIDMachine(.intel)
        machine.fill(2, 0xffff_ffff_ffff_f000, pages: 1)
        machine.snapshot.areas[machine.snapshot.areas.count - 1].range = IOVARange(
            first: IOVA(0xffff_ffff_ffff_f000), last: IOVA(.max))!
        try machine.record()
        #expect(try machine.check() == [])
        let audit = Audit(machine.snapshot)
        let place = machine.entry(of: 2, 0xffff_ffff_ffff_f000, level: 0)
        machine.write(machine.read(place) ^ 0x4000, place)
        let report = machine.withMemory { audit.run(DomainID(2), memory: $0) }
        #expect(report.tableDifferences.map(\.range?.first) == [IOVA(0xffff_ffff_ffff_f000)])
        #expect(report.findings.map(\.iova) == [IOVA(0xffff_ffff_ffff_f000), IOVA(0xffff_ffff_ffff_f000)])
    }
}
