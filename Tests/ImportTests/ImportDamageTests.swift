import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Testing

@testable import Import

@Suite("Import of damaged structures")
struct ImportDamageTests {
    static let damages = ["reserved-bit", "pointer-outside", "cleared-present", "loop", "aw-unsupported"]

    /// Where the word at `address` decides: input ranges per requester, by a plain recursion over the undamaged tables.
    static func spans(
        of address: PhysicalAddress, _ snapshot: Snapshot, _ memory: MemoryView
    ) -> [(RequesterID, IOVARange)] {
        var result: [(RequesterID, IOVARange)] = []
        for attachment in snapshot.attachments {
            if attachment.entryAddress?.pageBase == address.pageBase,
                attachment.entryAddress!.rawValue >> 4 == address.rawValue >> 4
            {
                result.append((attachment.requester, .all))
            }
            guard let tables = snapshot.domainUnits.first(where: { $0.domain == attachment.domain })?.tables else {
                continue
            }
            func visit(_ page: PhysicalAddress, _ level: Int, _ base: UInt64) {
                guard let words = memory.page(at: page) else { return }
                for index in 0..<512 {
                    let first = base + UInt64(index) << UInt64(12 + 9 * level)
                    if page.rawValue + UInt64(index) * 8 == address.rawValue {
                        result.append(
                            (
                                attachment.requester,
                                IOVARange(first: IOVA(first), bytes: 1 << UInt64(12 + 9 * level))!
                            ))
                    }
                    let word = words[index]
                    if level > 0, word & 3 != 0, word & 0x80 == 0 {
                        visit(PhysicalAddress(word & 0xf_ffff_ffff_f000), level - 1, first)
                    }
                }
            }
            visit(tables.root, Int(tables.topLevel), 0)
        }
        return result
    }

    @Test("A damaged word changes nothing outside the range that it decides about", arguments: damages)
    func contained(name: String) throws {
        let image = try Fixtures.vtd48()
        let before = try Importer.importMachine(image)
        let runsBefore = try RecordedTables(before).runs(before)
        let damage = try image.metadata.damage(name)
        let spans = damage.patches.flatMap { Self.spans(of: $0.address, before, image.memory.view) }
        #expect(spans.map(\.0) == [RequesterID("01:00.0")!], "each damage is to 01:00.0")
        try image.apply(damage)
        let after = try Importer.importMachine(image)
        let runsAfter = try RecordedTables(after).runs(after)
        #expect(runsAfter != runsBefore)
        func outside(_ runs: [DeviceRun]) -> [DeviceRun] {
            DeviceRun.merged(spans.reduce(runs) { DeviceRun.outside($1.1, of: $1.0, $0) })
        }
        #expect(outside(runsAfter) == outside(runsBefore))
        // The word itself is in the record, so that a rule can name it.
        let recorded = try RecordedTables(after)
        for patch in damage.patches { #expect(recorded.memory.word(at: patch.address) == patch.new) }
        #expect(after.devices.map(\.requester) == before.devices.map(\.requester))
        #expect(after.attachments.map(\.entryAddress) == before.attachments.map(\.entryAddress))
    }

    @Test("A width that the unit lacks leaves an attachment to a paging domain without tables")
    func unsupportedWidth() throws {
        let image = try Fixtures.vtd48()
        try image.apply(damage: "aw-unsupported")
        let snapshot = try Importer.importMachine(image)
        let attachment = try #require(snapshot.attachments.first { $0.requester == RequesterID("01:00.0") })
        let record = try #require(snapshot.domainUnits.first { $0.domain == attachment.domain })
        #expect(record.tables == nil && attachment.cacheTag == nil)
        #expect(snapshot.domains.first { $0.id == attachment.domain }?.kind == .paging)
        let hwpt = try #require(snapshot.hwpts.first { $0.domain == attachment.domain })
        #expect(!snapshot.areas.contains { $0.ioas == hwpt.ioas })
        #expect(!snapshot.tablePages.contains { $0.domain == attachment.domain })
    }

    @Test("A table that points to itself is recorded once per level")
    func loop() throws {
        let image = try Fixtures.vtd48()
        try image.apply(damage: "loop")
        let snapshot = try Importer.importMachine(image)
        let levels = snapshot.tablePages.flatMap(\.pages.entries)
            .filter { $0.address == PhysicalAddress(0x1_44d5_6000) }.map(\.level)
        #expect(levels == [0, 1])
    }

    @Test("A wrong width that the unit supports is imported as the hardware would walk it")
    func wrongWidth() throws {
        let image = try Fixtures.vtd48()
        try image.apply(damage: "aw-wrong")
        let snapshot = try Importer.importMachine(image)
        let attachment = try #require(snapshot.attachments.first { $0.requester == RequesterID("01:00.0") })
        let record = try #require(snapshot.domainUnits.first { $0.domain == attachment.domain })
        #expect(record.tables?.topLevel == 2 && record.tables?.addressBits == 39)
    }

    @Test("A patch whose old value is not there changes nothing")
    func patches() throws {
        let image = try Fixtures.vtd48()
        try image.apply(damage: "loop")
        #expect(throws: ImportError.self) { try image.apply(damage: "loop") }
        #expect(throws: ImportError.noSuchDamage(name: "x", known: image.metadata.damages.map(\.name))) {
            try image.apply(damage: "x")
        }
        let nowhere = ImageMetadata.Damage(
            name: "n",
            patches: [
                .init(address: PhysicalAddress(0x1_44d6_7008), old: 0x1_4300_0083, new: 0),
                .init(address: PhysicalAddress(0x10), old: 0, new: 1),
            ], damage: "", expected: "")
        #expect(
            throws: ImportError.patchDiffers(name: "n", address: PhysicalAddress(0x10), found: nil, expected: 0)
        ) { try image.apply(nowhere) }
        #expect(image.memory.word(at: PhysicalAddress(0x1_44d6_7008)) == 0x1_4300_0083)
    }

    /// An image whose registers are changed by `change`.
    static func image(_ change: (inout [String: UInt64]) -> Void) throws -> MachineImage {
        var image = try Fixtures.vtd48()
        var registers = Dictionary(
            uniqueKeysWithValues: image.metadata.units[0].registers.map { ($0.name, $0.value) })
        change(&registers)
        image.metadata.units[0].registers = registers.map { .init(name: $0.key, value: $0.value) }
        return image
    }

    @Test("Registers decide: missing, outside memory, scalable, aborting, switched off")
    func registers() throws {
        let path = Fixtures.image("vtd48.json")
        for name in ["rtaddr", "cap", "ecap"] {
            #expect(throws: ImportError.missingRegister(path: path, unit: 0, name: name)) {
                try Importer.importMachine(try Self.image { $0[name] = nil })
            }
        }
        #expect(
            throws: ImportError.rootOutsideMemory(
                path: path, unit: 0, register: "rtaddr", value: 0x77_7000_0000, page: PhysicalAddress(0x77_7000_0000))
        ) { try Importer.importMachine(try Self.image { $0["rtaddr"] = 0x77_7000_0000 }) }
        // Scalable mode, which this unit has not, is a fault for every request.
        for change: (String, UInt64) in [
            ("rtaddr", 0x1_43ff_5c00), ("rtaddr", 0x1_43ff_5800), ("rtaddr", 0x1_43ff_5400), ("gsts", 0),
        ] {
            let snapshot = try Importer.importMachine(try Self.image { $0[change.0] = change.1 })
            #expect(snapshot.attachments.isEmpty && snapshot.domains.isEmpty)
            // What a scalable root table is read for is recorded, so that a finding can show it.
            #expect(snapshot.lookupPages.isEmpty == (change.1 != 0x1_43ff_5400))
            #expect(snapshot.devices.count == 19)
        }
        let assumed = try Importer.importMachine(try Self.image { $0["gsts"] = nil })
        #expect(assumed.attachments.count == 20)
        var other = try Fixtures.vtd48()
        other.metadata.units[0].kind = .amdVi
        #expect(throws: ImportError.missingRegister(path: path, unit: 0, name: "devtab")) {
            try Importer.importMachine(other)
        }
        var wide = try Fixtures.vtd48()
        wide.metadata.units[0].hostAddressWidth = 20
        #expect(throws: ImportError.self) { try Importer.importMachine(wide) }
    }

    @Test("Two units need two register bases, and a requester in both belongs to one")
    func twoUnits() throws {
        var image = try Fixtures.vtd48()
        var second = image.metadata.units[0]
        second.dmar = nil
        image.metadata.units.append(second)
        image.metadata.units[0].dmar = nil
        #expect(throws: ImportError.self) { try Importer.importMachine(image) }
        image.metadata.units[1].registerBase = PhysicalAddress(0xfed9_1000)
        let snapshot = try Importer.importMachine(image)
        #expect(snapshot.units.map(\.id) == [UnitID(1), UnitID(2)])
        #expect(snapshot.attachments.count == 20)
        #expect(Set(snapshot.devices.map(\.unit)) == [UnitID(1)])
        #expect(snapshot.lookupPages.map(\.pages.count) == [7, 7])
        image.metadata.units[1].segment = 1
        let apart = try Importer.importMachine(image)
        #expect(apart.attachments.count == 40)
        #expect(apart.domains.count == 28, "a root belongs to its unit")
    }

    @Test("Entries that the hardware refuses keep their device; pass-through is an identity domain")
    func contextEntries() throws {
        let image = try Fixtures.vtd48()
        let before = try Importer.importMachine(image)
        func entry(_ text: String) throws -> PhysicalAddress {
            try #require(before.attachments.first { $0.requester == RequesterID(text) }?.entryAddress)
        }
        let view = image.memory.view
        // 00:03.0 gets a reserved bit, 02:00.0 and 41:00.0 pass through with pointer 0, 00:09.0 is no longer present.
        let shared = try entry("00:03.0")
        let word = try #require(view.word(at: shared))
        #expect(view.setWord(word | 0x10, at: shared))
        for text in ["02:00.0", "41:00.0"] {
            #expect(view.setWord(0x9, at: try entry(text)))
            #expect(view.setWord(0x102, at: PhysicalAddress(try entry(text).rawValue + 8)))
        }
        let absent = try entry("00:09.0")
        #expect(view.setWord(try #require(view.word(at: absent)) & ~1, at: absent))
        let snapshot = try Importer.importMachine(image)
        func record(_ text: String) throws -> (DomainRecord, DomainUnitRecord) {
            let domain = try #require(snapshot.attachments.first { $0.requester == RequesterID(text) }).domain
            return (
                try #require(snapshot.domains.first { $0.id == domain }),
                try #require(snapshot.domainUnits.first { $0.domain == domain })
            )
        }
        #expect(try record("00:03.0").0.kind == .paging && record("00:03.0").1.tables == nil)
        #expect(try record("00:04.0").1.tables != nil && record("00:04.0").0.id != record("00:03.0").0.id)
        #expect(try record("02:00.0").0.kind == .identity && record("02:00.0").1.tables == nil)
        #expect(try record("02:00.0").0.id == record("41:00.0").0.id)
        let tags = snapshot.attachments.filter { $0.domain == (try? record("02:00.0").0.id) }.map(\.cacheTag)
        #expect(tags == [1, 1])
        #expect(!snapshot.hwpts.contains { $0.domain == (try? record("02:00.0").0.id) })
        #expect(!snapshot.attachments.contains { $0.requester == RequesterID("00:09.0") })
        #expect(snapshot.devices.contains { $0.requester == RequesterID("00:09.0") })
        #expect(snapshot.devices.count == 20)
    }

    @Test("One root at two depths is two domains")
    func depths() throws {
        let image = try Fixtures.vtd48()
        let before = try Importer.importMachine(image)
        let place = try #require(before.attachments.first { $0.requester == RequesterID("00:04.0") }?.entryAddress)
        let second = PhysicalAddress(place.rawValue + 8)
        let word = try #require(image.memory.word(at: second))
        #expect(word & 7 == 2)
        #expect(image.memory.setWord(word & ~7 | 1, at: second))
        let after = try Importer.importMachine(image)
        func tables(_ text: String) throws -> DomainUnitRecord.Geometry? {
            let attachment = try #require(after.attachments.first { $0.requester == RequesterID(text) })
            return try #require(after.domainUnits.first { $0.domain == attachment.domain }).tables
        }
        #expect(after.domains.count == before.domains.count + 1)
        #expect(try tables("00:03.0")?.topLevel == 3)
        #expect(try tables("00:04.0")?.topLevel == 2)
        #expect(try tables("00:03.0")?.root == tables("00:04.0")?.root)
    }

    @Test("RAM ranges shrink to whole pages, however odd they are")
    func ram() {
        func pages(_ ranges: [(UInt64, UInt64)]) -> [String] {
            SnapshotBuilder.wholePages(
                ranges.map { PhysicalRange(first: .init($0.0), last: .init($0.1))! }
            ).map { "\(hex($0.first.rawValue, digits: 1))-\(hex($0.last.rawValue, digits: 1))" }
        }
        #expect(pages([(0, 0xffe)]) == [])
        #expect(pages([(1, 0x1fff)]) == ["0x1000-0x1fff"])
        #expect(pages([(0x1001, 0x2ffe)]) == [])
        #expect(pages([(0, .max)]) == ["0x0-0xffffffffffffffff"])
        #expect(pages([(.max - 0xffe, .max)]) == [])
        #expect(pages([(.max - 0xfff, .max)]) == ["0xfffffffffffff000-0xffffffffffffffff"])
        #expect(pages([(0x5000, 0x7fff), (0x1000, 0x5fff), (0x8000, 0x8fff)]) == ["0x1000-0x7fff", "0x8000-0x8fff"])
    }

    @Test("20,000 random words in lookup and table pages never trap an import")
    func fuzz() throws {
        let seed: UInt64 = 0x5eed_7ab1
        var generator = SeededGenerator(seed: seed)
        let clean = try Importer.importMachine(try Fixtures.vtd48())
        let lookup = clean.lookupPages.flatMap { $0.pages.entries.map(\.address) }
        let tables = clean.tablePages.flatMap { $0.pages.entries.map(\.address) }
        for round in 0..<100 {
            let image = try Fixtures.vtd48()
            for number in 0..<200 {
                let page =
                    number % 10 == 0 && round % 2 == 0
                    ? lookup.randomElement(using: &generator)! : tables.randomElement(using: &generator)!
                let word: UInt64
                switch Int.random(in: 0..<4, using: &generator) {
                // A table entry to a page that exists: loops, shared tables, tables at a wrong level.
                case 0, 1: word = tables.randomElement(using: &generator)!.rawValue | 3
                case 2: word = generator.next()
                default: word = 1 << UInt64.random(in: 0..<64, using: &generator) | 3
                }
                let address = PhysicalAddress(page.rawValue + UInt64.random(in: 0..<512, using: &generator) * 8)
                #expect(image.memory.setWord(word, at: address))
            }
            do throws(ImportError) {
                let snapshot = try Importer.importMachine(image, options: ImportOptions(runBudget: 1 << 14))
                for pages in snapshot.tablePages {
                    for (index, entry) in pages.pages.entries.enumerated().prefix(5) {
                        // Lossless: the record holds the damaged words.
                        let words = UnsafeMutablePointer<UInt64>.allocate(capacity: 512)
                        defer { words.deallocate() }
                        pages.pages.decode(index, into: words)
                        let memory = image.memory.page(at: entry.address)!
                        #expect((0..<512).allSatisfy { words[$0] == memory[$0] }, "seed \(seed), round \(round)")
                    }
                }
            } catch {
                Issue.record("seed \(seed), round \(round): \(error)")
            }
        }
    }
}
