import Hardware
import IOMMUModel
import PageTables
import Snapshot
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
}
