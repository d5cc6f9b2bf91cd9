import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Testing

@testable import Import

@Suite("Import of a real machine's structures")
struct ImporterTests {
    @Test("What the recorded pages translate equals the truth, both ways")
    func truth() throws {
        let snapshot = try Importer.importMachine(try Fixtures.vtd48())
        let withoutFunction = snapshot.devices.filter { !$0.hasFunction }.map(\.requester)
        #expect(withoutFunction == [RequesterID("03:00.0")!])
        let truth = DeviceRun.merged(
            try AreaCSV.read(file: Fixtures.image("vtd48.truth.csv")).map {
                DeviceRun(requester: $0.requester, range: $0.range, pa: $0.offset, protection: $0.protection)
            })
        let runs = try RecordedTables(snapshot).runs(snapshot)
        #expect(runs == DeviceRun.merged(runs), "runs are maximal")
        let found = runs.filter { !withoutFunction.contains($0.requester) }
        #expect(Set(found).subtracting(truth).isEmpty)
        #expect(Set(truth).subtracting(found).isEmpty)
        #expect(found == truth)
        #expect(truth.count > 500)
        // The areas of each domain are the same runs.
        for attachment in snapshot.attachments {
            let hwpt = try #require(snapshot.hwpts.first { $0.domain == attachment.domain })
            let areas = snapshot.areas.filter { $0.ioas == hwpt.ioas }.map {
                DeviceRun(
                    requester: attachment.requester, range: $0.range, pa: $0.offset, protection: $0.protection)
            }
            #expect(areas == runs.filter { $0.requester == attachment.requester })
        }
    }

    @Test("Units, devices, groups, domains and tokens are recorded as the machine has them")
    func facts() throws {
        let snapshot = try Importer.importMachine(try Fixtures.vtd48())
        #expect(snapshot.origin == .imported)
        let unit = try #require(snapshot.units.first)
        #expect(snapshot.units.count == 1 && unit.kind == .intelVTd && unit.segment == 0)
        #expect(unit.registerBase == PhysicalAddress(0xfed9_0000) && unit.hostAddressWidth == 48)
        #expect(unit[register: "iqa"] == 0x1_43ff_4000 && unit.registers.count == 8)
        #expect(
            snapshot.memoryRanges.map(\.range) == [
                PhysicalRange(first: .init(0x1000), last: .init(0x9efff))!,
                PhysicalRange(first: .init(0x100000), last: .init(0x7ffd_6fff))!,
                PhysicalRange(first: .init(0x1_0000_0000), last: .init(0x1_7fff_ffff))!,
            ])
        #expect(snapshot.devices.count == 20)
        func device(_ text: String) throws -> DeviceRecord {
            let requester = try #require(RequesterID(text))
            return try #require(snapshot.devices.first { $0.requester == requester })
        }
        #expect(try device("03:00.0").group == GroupID(5), "the alias belongs to the bridge's group")
        #expect(try device("03:00.0").group == device("00:05.0").group)
        #expect(try device("01:00.0").driver == "vfio-pci")
        let vfio = snapshot.groups.filter { $0.owner == .vfio }
        #expect(vfio.map(\.id.rawValue) == [3, 4, 5, 6, 7, 9, 11])
        #expect(vfio.allSatisfy { $0.ownerAssumed })
        #expect(snapshot.groups.count == 15)
        #expect(snapshot.reservedRegions.count == 16)
        // Every function and the alias has an entry.
        #expect(snapshot.attachments.count == 20)
        func domain(_ text: String) throws -> DomainID {
            let requester = try #require(RequesterID(text))
            return try #require(snapshot.attachments.first { $0.requester == requester }).domain
        }
        #expect(try domain("00:03.0") == domain("00:04.0"))
        #expect(try Set(["00:05.0", "03:00.0", "03:01.0", "03:02.0"].map(domain)).count == 1)
        #expect(try domain("00:06.0") != domain("00:06.1"))
        // The meta file counts 14 top tables.
        #expect(snapshot.domains.count == 14)
        #expect(snapshot.domains.allSatisfy { $0.kind == .paging })
        #expect(snapshot.domainUnits.allSatisfy { $0.tables?.topLevel == 3 && $0.tables?.addressBits == 48 })
        #expect(Set(snapshot.attachments.map(\.cacheTag)).count == 14)
        #expect(snapshot.attachments.allSatisfy { $0.cacheTag != nil && $0.cachePASID == nil })
        #expect(snapshot.cacheTags.count == 14 && snapshot.cacheTags.values.allSatisfy { $0.count == 1 })
        let holder = Dictionary(uniqueKeysWithValues: snapshot.domains.map { ($0.id, $0.holder) })
        #expect(try holder[domain("01:00.0")] == .iommufd)
        #expect(try holder[domain("02:00.0")] == .core)
        #expect(snapshot.sessions.map(\.name) == ["imported"])
        #expect(snapshot.hwpts.map(\.token) == (1...14).map { UInt64($0) })
        let lowest = snapshot.hwpts.map { hwpt in
            snapshot.attachments.filter { $0.domain == hwpt.domain }.map(\.requester).min()!
        }
        #expect(lowest == lowest.sorted(), "tokens follow the lowest requester id")
        #expect(snapshot.backings.map(\.kind) == [.physical] && snapshot.backings.allSatisfy { $0.isAssumed })
        #expect(snapshot.ioases.allSatisfy { $0.areaOrigin == .derived && !$0.isImmutable })
        // 1 root, 6 context tables; 14 + 12 + 22 + 199 table pages.
        let levels = snapshot.lookupPages[0].pages.entries.map(\.level)
        #expect(levels.count { $0 == LookupLevel.vtdRoot } == 1 && levels.count == 7)
        let tableLevels = snapshot.tablePages.flatMap { $0.pages.entries.map(\.level) }
        #expect((0...3).map { level in tableLevels.count { $0 == UInt8(3 - level) } } == [14, 12, 22, 199])
        let entry = try #require(snapshot.attachments.first { $0.requester == RequesterID("01:00.0") }).entryAddress
        #expect(entry == PhysicalAddress(0x1_4427_3000))
        var sorted = snapshot
        sorted.normalize()
        #expect(sorted == snapshot)
    }

    @Test("The import writes nothing into the image and is the same every time")
    func deterministic() throws {
        let image = try Fixtures.vtd48()
        let first = try Importer.importMachine(image)
        #expect(try Importer.importMachine(image) == first)
        #expect(try Importer.importMachine(try Fixtures.vtd48()) == first)
    }

    @Test("Without functions and ACPI the structures alone give devices, mappings and 52 address bits")
    func registersOnly() throws {
        let meta = try ImageMetadata(file: Fixtures.image("vtd48.json"))
        let image = try MachineImage(
            file: Fixtures.image("vtd48.elf"),
            metadata: ImageMetadata(kind: .intelVTd, registers: meta.units[0].registers))
        let snapshot = try Importer.importMachine(image)
        #expect(snapshot.units[0].hostAddressWidth == 52)
        #expect(snapshot.devices.count == 20 && snapshot.devices.allSatisfy { $0.hasFunction })
        #expect(Set(snapshot.devices.map(\.group)).count == 20)
        let full = try Importer.importMachine(try Fixtures.vtd48())
        #expect(snapshot.areas == full.areas)
        let narrow = try Importer.importMachine(image, options: ImportOptions(hostAddressWidth: 46))
        #expect(narrow.units[0].hostAddressWidth == 46)
    }

    @Test("One root under two DIDs is one domain with two cache tags")
    func tags() throws {
        let image = try Fixtures.vtd48()
        let before = try Importer.importMachine(image)
        let place = try #require(before.attachments.first { $0.requester == RequesterID("00:04.0") }?.entryAddress)
        let second = PhysicalAddress(place.rawValue + 8)
        let word = try #require(image.memory.word(at: second))
        let own = UInt32(word >> 8 & 0xffff)
        #expect(image.memory.setWord(word & ~0xff_ff00 | 0x4321 << 8, at: second))
        let after = try Importer.importMachine(image)
        #expect(after.domains == before.domains && after.domainUnits == before.domainUnits)
        let changed = try #require(after.attachments.first { $0.requester == RequesterID("00:04.0") })
        #expect(changed.cacheTag == 0x4321)
        #expect(after.cacheTags[changed.domain]?.map(\.tag) == [own, 0x4321].sorted())
    }

    @Test("Budgets leave pages and areas out, and never more than they say")
    func budgets() throws {
        let image = try Fixtures.vtd48()
        let few = try Importer.importMachine(image, options: ImportOptions(pageBudget: 20, runBudget: 30))
        #expect(few.tablePages.reduce(0) { $0 + $1.pages.count } == 20)
        #expect(few.areas.count <= 30)
        #expect(few.attachments.count == 20)
    }
}
