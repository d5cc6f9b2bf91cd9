import Diff
import IOMMUModel
import PageTables
import Scenario
import Snapshot
import Testing

/// One edit of a recorded machine, and the one difference that it makes.
@Suite("One edit, one difference")
struct SubjectTests {
    /// A real machine's record, as if an engine had made it: with areas and tokens that say something of their own.
    private static func snapshot() throws -> Snapshot {
        var snapshot = try ImageDiffTests.snapshot("vtdpasid")
        snapshot.origin = .engine
        for index in snapshot.ioases.indices { snapshot.ioases[index].areaOrigin = .declared }
        return snapshot
    }

    struct Edit: Sendable, CustomTestStringConvertible {
        var kind: String
        /// What is told of the second state: of what has changed the one field, and of what is new all of it.
        var after: String?
        var edit: @Sendable (inout Snapshot) -> Void
        var testDescription: String { "\(kind) \(after ?? "-")" }

        init(_ kind: String, _ after: String? = nil, edit: @escaping @Sendable (inout Snapshot) -> Void) {
            (self.kind, self.after, self.edit) = (kind, after, edit)
        }
    }

    private static let region = IOVARange(first: IOVA(0x1000), last: IOVA(0x1fff))!

    static let edits: [Edit] = [
        Edit("unit-changed", "host_address_width=52") { $0.units[0].hostAddressWidth = 52 },
        Edit("unit-changed", "fsts=-") { $0.units[0].registers.removeAll { $0.name == "fsts" } },
        Edit("unit-changed", "aaa=0x0000000000000007") {
            $0.units[0].registers.insert(.init(name: "aaa", value: 7), at: 0)
        },
        Edit("memory-range-new") {
            let range = PhysicalRange(first: PhysicalAddress(0xff_0000_0000), bytes: 4096)!
            $0.memoryRanges.append(.init(kind: .ram, range: range))
        },
        Edit("memory-range-gone") { $0.memoryRanges.removeLast() },
        Edit("group-changed", "token=7") { $0.groups[0].ownerToken = 7 },
        Edit("device-changed", "group=99") { $0.devices[0].group = GroupID(99) },
        Edit("device-changed", "ats=true") { $0.devices[0].atsEnabled = true },
        // What it is attached to stays: an attachment is a record of its own.
        Edit("device-gone") { $0.devices.removeLast() },
        Edit("reserved-region-new") {
            $0.reservedRegions.append(.init(group: $0.groups[0].id, kind: .direct, range: region))
        },
        Edit("backing-changed", "bytes=4096") { $0.backings[0].byteCount = 4096 },
        Edit("session-new") { $0.sessions.append(.init(id: SessionID(1), name: "guests")) },
        Edit("ioas-changed", "immutable=true") { $0.ioases[0].isImmutable = true },
        Edit("area-gone") { $0.areas.removeLast() },
        Edit("area-changed", "protection=w") { $0.areas[0].protection = .write },
        Edit("domain-changed", "preserved=true") { $0.domains[0].preserved = true },
        Edit("domain-changed", "holder=session") { $0.domains[0].holder = .session },
        Edit("hwpt-changed", "token=4711") { $0.hwpts[0].token = 4711 },
        Edit("attachment-changed", "cache_tag=77") { $0.attachments[0].cacheTag = 77 },
        Edit("engine-state-new", "bytes=2 content=0102") {
            $0.engineState.append(.init(name: "rng", bytes: [1, 2]))
        },
    ]

    @Test(arguments: edits)
    func one(edit: Edit) throws {
        let before = try Self.snapshot()
        var after = before
        edit.edit(&after)
        let differences = try StateComparison(before, after).compare().differences
        #expect(differences.count == 1, "\(differences)")
        let one = try #require(differences.first)
        #expect(one.kind == edit.kind)
        guard let text = edit.after else { return }
        #expect(one.after == text)
        guard one.change == .changed else { return }
        // The same one field, with what it was.
        let (old, new) = (try #require(one.before).split(separator: "="), text.split(separator: "="))
        #expect(old.count == 2 && old[0] == new[0] && old[1] != new[1] && !old[1].contains(" "))
    }

    @Test("Every kind of record has a subject")
    func everyRecord() throws {
        let subjects: [String: Difference.Subject] = [
            "units": .unit, "memoryRanges": .memoryRange, "groups": .group, "devices": .device,
            "reservedRegions": .reservedRegion, "backings": .backing, "sessions": .session, "ioases": .ioas,
            "areas": .area, "domains": .domain, "domainUnits": .domain, "hwpts": .hwpt, "attachments": .attachment,
            "lookupPages": .lookupPage, "tablePages": .tablePage, "engineState": .engineState,
        ]
        let names = Mirror(reflecting: Snapshot(origin: .engine)).children.compactMap(\.label)
        #expect(Set(names) == Set(subjects.keys).union(["origin"]))
        let beside: Set<Difference.Subject> = [.lookupEntry, .tableEntry, .mapping]
        #expect(Set(subjects.values).union(beside) == Set(Difference.Subject.allCases))
    }

    @Test("A device that moves to another domain is told once, not as two changed domains")
    func moved() throws {
        let before = try Self.snapshot()
        var after = before
        let shared = try #require(
            before.attachments.indices.first { index in
                before.attachments.count { $0.domain == before.attachments[index].domain } > 1
            })
        let other = try #require(
            before.attachments.first { one in
                one.domain != before.attachments[shared].domain
                    && before.domains.contains { $0.id == one.domain && $0.kind == .paging }
            })
        after.attachments[shared].domain = other.domain
        let differences = try StateComparison(before, after).compare().differences
        #expect(differences.map(\.kind) == ["attachment-changed"])
        let from = before.attachments[shared].domain
        #expect(differences.first?.what == "moved from domain \(from) to domain \(other.domain)")
    }

    @Test("Other ids for the same domains, HWPTs and address spaces are no difference")
    func renumbered() throws {
        let before = try Self.snapshot()
        var after = before
        func moved<Kind>(_ id: ObjectID<Kind>) -> ObjectID<Kind> { ObjectID<Kind>(id.rawValue + 100) }
        for index in after.domains.indices {
            after.domains[index].id = moved(after.domains[index].id)
            after.domains[index].parent = after.domains[index].parent.map(moved)
        }
        for index in after.domainUnits.indices {
            after.domainUnits[index].domain = moved(after.domainUnits[index].domain)
        }
        for index in after.attachments.indices {
            after.attachments[index].domain = moved(after.attachments[index].domain)
        }
        for index in after.tablePages.indices { after.tablePages[index].domain = moved(after.tablePages[index].domain) }
        for index in after.hwpts.indices {
            after.hwpts[index].id = moved(after.hwpts[index].id)
            after.hwpts[index].domain = moved(after.hwpts[index].domain)
            after.hwpts[index].ioas = moved(after.hwpts[index].ioas)
        }
        for index in after.ioases.indices { after.ioases[index].id = moved(after.ioases[index].id) }
        for index in after.areas.indices { after.areas[index].ioas = moved(after.areas[index].ioas) }
        #expect(try StateComparison(before, after).compare().differences == [])
    }
}
