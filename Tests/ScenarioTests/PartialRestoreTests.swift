import Foundation
import Handover
import IOMMUModel
import Restore
import SQLite
import Snapshot
import Store
import Testing
import Validate

@testable import Engine
@testable import Scenario

/// A generation with a damaged row: nothing is restored from it, unless that is asked for. Then the devices that depend on
/// the row are quarantined, the others translate as before, and no frame of any table is given to anybody.
@Suite("What can be trusted of a damaged generation is restored")
struct PartialRestoreTests {
    /// A host that was sealed and jumped.
    struct Ground {
        let machine: Machine
        let sealed: Snapshot
        let folder: String
        var path: String { folder + "/1.domstore" }

        /// `corrupting`: changes tables before anything is recorded.
        init(
            _ flavours: [FlavouredMachine.Flavour], corrupting: (Machine, Snapshot) throws -> Void = { _, _ in }
        ) throws {
            folder = FileManager.default.temporaryDirectory.path + "/partial-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            machine = try FlavouredMachine.make(flavours)
            var frozen = try FlavouredMachine.frozen(flavours, on: machine)
            try corrupting(machine, frozen.snapshot())
            sealed = frozen.snapshot()
            guard let nonce = HandoverNonce(bytes: frozen.drawNonce()) else { throw Errno.EINVAL }
            let events = (1...3).map { Event(sequence: $0, timeNanoseconds: 0, kind: .operation, name: "map") }
            _ = try FreshGeneration.write(sealed, number: 1, to: folder + "/1.domstore", events: events, nonce: nonce)
            _ = frozen.jump()
            machine.setNonce(nonce.bytes)
        }

        func remove() { try? FileManager.default.removeItem(atPath: folder) }

        /// Changes the file as any shell could: no checksum is made good.
        func damage(_ sql: String) throws {
            chmod(path, 0o644)
            let connection = try Connection(path: path, flags: [.readWrite])
            try connection.execute("PRAGMA foreign_keys = OFF; " + sql)
        }

        func check(isPartial: Bool) throws(RestoreRefusal) -> ManifestChecked {
            try ManifestChecked.check(path: path, memory: MemoryNonce(machine.nonce), isPartial: isPartial)
        }

        /// The devices that use `domain`, through a nested one too.
        func users(_ domain: DomainID) -> Set<RequesterID> {
            let own = Set(sealed.domains.filter { $0.id == domain || $0.parent == domain }.map(\.id))
            return Set(sealed.attachments.filter { own.contains($0.domain) }.map(\.requester))
        }
    }

    /// The number of rows of a table, and the owner of each.
    private static func owners(_ ground: Ground, _ table: String, _ column: String) throws -> [(
        id: Int64, owner: Int64
    )] {
        let connection = try Connection(path: ground.path, flags: [.readOnly])
        let statement = try connection.prepare("SELECT id, \(column) FROM \(table) ORDER BY id")
        var rows: [(id: Int64, owner: Int64)] = []
        while try statement.step() { rows.append((statement.integer(0), statement.integer(1))) }
        return rows
    }

    /// Restores what is left, and checks that exactly `lost` is quarantined by the restore, all else as it was, and every
    /// frame of a recorded table held; then what the audit quarantines.
    private static func restore(_ ground: Ground, lost: Set<RequesterID>) throws -> Set<RequesterID> {
        var random = SplitMix64(seed: 5)
        let questions = EquivalenceTests.questions(ground.sealed, anywhere: 200, &random)
        let before = EquivalenceTests.answers(questions, ground.machine)
        let checked = try ground.check(isPartial: true)
        var restored = try Restorer.restore(
            checked.snapshot, machine: ground.machine, losses: checked.losses, configuration: .init()
        ) { _ in }
        for page in ground.sealed.tablePages.flatMap(\.pages.entries) {
            let isHeld = restored.engine.arena.isAllocated(page.address)
            #expect(isHeld, "\(page.address)")
        }
        let quarantined = Set(restored.devices.filter { $0.state == .quarantined }.map(\.requester))
        #expect(quarantined == lost)
        for device in restored.devices where lost.contains(device.requester) {
            #expect(device.rule == .recordChecksum && device.reason.contains("_chunk id="), "\(device.reason)")
        }
        #expect(checked.losses.requesters(ground.sealed).keys.sorted() == lost.sorted())
        let audited = Set(restored.audit(checked.snapshot).quarantined.map(\.requester))
        let broken = restored.engine.checkInvariants()
        #expect(broken == [])
        for (question, pair) in zip(questions, zip(before, EquivalenceTests.answers(questions, ground.machine))) {
            if quarantined.contains(question.key.requester) || audited.contains(question.key.requester) {
                if case .address = pair.1 { Issue.record("\(question) reaches memory") }
            } else {
                #expect(pair.0 == pair.1, "\(question)")
            }
        }
        return audited
    }

    private static let flavours: [FlavouredMachine.Flavour] = [.secondStage, .firstStage, .amdV1, .vtdNested]

    @Test("Each damaged row of tables and areas", arguments: flavours)
    func rows(flavour: FlavouredMachine.Flavour) throws {
        let ground = try Ground([flavour])
        defer { ground.remove() }
        let spaces = Dictionary(grouping: ground.sealed.hwpts, by: \.ioas)
        let cases =
            try Self.owners(ground, "table_chunk", "domain").map { row in
                ("table_chunk SET runs = zeroblob(length(runs))", row.id, [DomainID(UInt32(row.owner))])
            }
            + Self.owners(ground, "area_chunk", "ioas").map { row in
                (
                    "area_chunk SET records = zeroblob(length(records))", row.id,
                    spaces[IOASID(UInt32(row.owner))]!.map(\.domain)
                )
            }
        #expect(cases.count >= 6)
        for (change, id, domains) in cases {
            let ground = try Ground([flavour])
            defer { ground.remove() }
            try ground.damage("UPDATE \(change) WHERE id = \(id)")
            #expect { try ground.check(isPartial: false) } throws: {
                ($0 as? RestoreRefusal)?.verdict == .stop && ($0 as? RestoreRefusal)?.rule == .recordChecksum
            }
            let lost = domains.reduce(into: Set<RequesterID>()) { $0.formUnion(ground.users($1)) }
            #expect(!lost.isEmpty && lost.count < ground.machine.devices.count)
            #expect(try Self.restore(ground, lost: lost) == [])
        }
    }

    @Test("A row that says it is another domain's: neither is trusted", arguments: flavours)
    func owner(flavour: FlavouredMachine.Flavour) throws {
        let ground = try Ground([flavour])
        defer { ground.remove() }
        let rows = try Self.owners(ground, "table_chunk", "domain")
        let (row, other) = (rows[0], rows.first { $0.owner != rows[0].owner }!)
        try ground.damage("UPDATE table_chunk SET domain = \(other.owner) WHERE id = \(row.id)")
        // The record no longer says that anything of this domain is lost: its tables in memory do.
        let lost = ground.users(DomainID(UInt32(other.owner)))
        let audited = try Self.restore(ground, lost: lost)
        #expect(audited == ground.users(DomainID(UInt32(row.owner))).subtracting(lost))
    }

    @Test("A leaf into a table whose row is damaged is found as one into any other")
    func leafIntoTable() throws {
        var reached: PhysicalAddress?
        var (lost, writer) = (DomainID(0), DomainID(0))
        let ground = try Ground([.secondStage]) { machine, snapshot in
            let first = try #require(snapshot.tablePages.first)
            let other = try #require(snapshot.tablePages.last)
            (lost, writer) = (first.domain, other.domain)
            let target = try #require(first.pages.entries.last { $0.level == 0 }).address
            let leaf = try #require(other.pages.entries.first { $0.level == 0 }).address
            let words = try #require(machine.memory.page(at: leaf))
            let slot = try #require((0..<512).first { words[$0] & 3 != 0 })
            words[slot] = words[slot] & 0xfff | target.rawValue
            reached = target
        }
        defer { ground.remove() }
        #expect(lost != writer)
        try ground.damage("UPDATE table_chunk SET runs = zeroblob(length(runs)) WHERE domain = \(lost.rawValue)")
        let checked = try ground.check(isPartial: true)
        var restored = try Restorer.restore(
            checked.snapshot, machine: ground.machine, losses: checked.losses, configuration: .init()
        ) { _ in }
        let quarantined = restored.audit(checked.snapshot).quarantined
        #expect(Set(quarantined.map(\.requester)) == ground.users(writer).subtracting(ground.users(lost)))
        #expect(!quarantined.isEmpty)
        let page = try #require(reached)
        for line in quarantined {
            #expect(line.rule == .tableLeafIntoTable && line.reason.contains("\(page)"), "\(line.reason)")
        }
    }

    @Test("A row of areas that says it is another address space's: neither is trusted", arguments: flavours)
    func space(flavour: FlavouredMachine.Flavour) throws {
        let ground = try Ground([flavour])
        defer { ground.remove() }
        let rows = try Self.owners(ground, "area_chunk", "ioas")
        let (row, other) = (rows[0], rows.first { $0.owner != rows[0].owner }!)
        try ground.damage("UPDATE area_chunk SET ioas = \(other.owner) WHERE id = \(row.id)")
        func users(_ space: Int64) -> Set<RequesterID> {
            ground.sealed.hwpts.filter { $0.ioas == IOASID(UInt32(space)) }
                .reduce(into: []) { $0.formUnion(ground.users($1.domain)) }
        }
        // The tables in memory map what no area says any more.
        let audited = try Self.restore(ground, lost: users(other.owner))
        #expect(audited == users(row.owner).subtracting(users(other.owner)))
    }

    @Test("An event costs nothing")
    func event() throws {
        let ground = try Ground([.secondStage])
        defer { ground.remove() }
        try ground.damage("UPDATE event SET name = 'unmap' WHERE sequence = 2")
        #expect(throws: RestoreRefusal.self) { try ground.check(isPartial: false) }
        #expect(try Self.restore(ground, lost: []) == [])
        #expect(try ground.check(isPartial: true).losses.rows.map(\.table) == ["event"])
    }

    @Test(
        "Whatever else is damaged, or missing, stops",
        arguments: [
            "DELETE FROM table_chunk WHERE id = 1", "DELETE FROM event WHERE sequence = 3",
            "UPDATE device SET class_code = class_code + 1", "UPDATE attachment SET cache_tag = cache_tag + 1",
            "UPDATE lookup_chunk SET runs = zeroblob(length(runs))", "UPDATE domain_unit SET root_page = root_page + 1",
            "UPDATE table_chunk SET checksum = x'0000000000000000' WHERE id = 1",
            "UPDATE table_chunk SET domain = 999999 WHERE id = 1",
            "UPDATE table_chunk SET id = 900 WHERE id = 1; UPDATE manifest SET row_count = row_count + 1",
            "UPDATE seal SET root = x'0000000000000000'",
            "INSERT INTO event SELECT sequence + 10, time_nanoseconds, kind, name, arguments, errno, checksum FROM event",
        ])
    func stops(change: String) throws {
        let ground = try Ground([.secondStage])
        defer { ground.remove() }
        try ground.damage(change)
        #expect { try ground.check(isPartial: true) } throws: { ($0 as? RestoreRefusal)?.verdict == .stop }
    }

    @Test("Beside a damaged row of any table only what its rule implies is found")
    func implied() throws {
        let rule = Rule.of(.recordChecksum)
        var tables = 0
        for table in [
            "generation", "feature", "unit", "unit_register", "memory_range", "iommu_group", "device",
            "reserved_region", "backing", "session", "ioas", "domain", "domain_unit", "hwpt", "attachment",
            "engine_state", "area_chunk", "lookup_chunk", "table_chunk", "event",
        ] {
            let ground = try Ground([.secondStage])
            defer { ground.remove() }
            try ground.damage("UPDATE \(table) SET checksum = x'0000000000000000'")
            do throws(StoreError) {
                let defects = try GenerationReader(path: ground.path).defects()
                // A table may be empty.
                guard !defects.isEmpty else { continue }
                #expect(defects.contains { $0.rule == .recordChecksum && $0.table == table })
                #expect(defects.allSatisfy { $0.rule == rule.id || rule.implied.contains($0.rule) }, "\(defects)")
            } catch {
                // Of what a reader needs before all else, one is refused.
                guard case .recordDamaged(table, _, _, .recordChecksum) = error else { throw error }
            }
            tables += 1
        }
        #expect(tables >= 16)
    }
}
