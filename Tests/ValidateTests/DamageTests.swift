import IOMMUModel
import Import
import PageTables
import Snapshot
import Testing

@testable import Validate

/// Tables that a real kernel built, undamaged and with each of the named damages.
@Suite struct DamageTests {
    static let images: String = {
        let parts = #filePath.split(separator: "/")
        return "/" + parts.dropLast(2).joined(separator: "/") + "/Fixtures/images/"
    }()

    static func snapshot(damage name: String? = nil) throws -> Snapshot {
        let metadata = try ImageMetadata(file: images + "vtd48.json")
        let image = try MachineImage(file: images + "vtd48.elf", metadata: metadata)
        if let name { try image.apply(damage: name) }
        return try Importer.importMachine(image)
    }

    /// A damage, the rule meant for it, and the IOVAs of 01:00.0 that may change with it.
    struct Damage: Sendable, CustomTestStringConvertible {
        var name: String
        var rule: RuleID
        var severity: Severity = .error
        var iova: UInt64?
        /// Bytes below the damaged entry; `nil` for the whole device.
        var span: UInt64?
        var testDescription: String { name }
    }

    static let damages: [Damage] = [
        Damage(name: "reserved-bit", rule: .tableReservedBits, iova: 0x20_0000, span: 0x20_0000),
        Damage(name: "pointer-outside", rule: .tableOutsideMemory, iova: 0x20_0060_0000, span: 0x20_0000),
        Damage(
            name: "cleared-present", rule: .tableNonZeroNotPresent, severity: .warning, iova: 0x20_0000_0000,
            span: 0x4000_0000),
        Damage(name: "loop", rule: .tableReused, iova: 0x20_0120_0000, span: 0x20_0000),
        Damage(name: "aw-unsupported", rule: .vtdContextAddressWidth),
    ]

    @Test func `the undamaged image has no finding of severity error`() throws {
        let findings = try Checker().check(Self.snapshot())
        #expect(findings.filter { $0.severity == .error }.map(\.description) == [])
        let aliases = findings.filter { $0.rule == .requesterWithoutFunction }.map(\.device)
        #expect(aliases == [RequesterID("03:00.0")])
        #expect(findings.contains { $0.rule == .areaWitnessMissing })
    }

    @Test(arguments: damages)
    func `each damage gives the rule meant for it at its entry's address`(damage: Damage) throws {
        let metadata = try ImageMetadata(file: Self.images + "vtd48.json")
        let patch = try #require(metadata.damage(damage.name).patches.first)
        let findings = try Checker().check(Self.snapshot(damage: damage.name))
        let meant = findings.filter { $0.rule == damage.rule }
        #expect(meant.count == 1, "\(findings.filter { $0.severity == .error })")
        #expect(meant.first?.address == patch.address)
        #expect(meant.first?.device == RequesterID("01:00.0"))
        #expect(meant.first?.iova?.rawValue == damage.iova)
        #expect(meant.first?.severity == damage.severity)
        let clean = try Set(Checker().check(Self.snapshot()))
        let others = findings.filter {
            $0.severity == .error && !clean.contains($0) && $0.rule != damage.rule
                && !Rule.of(damage.rule).implied.contains($0.rule)
        }
        #expect(others.isEmpty, "\(others)")
    }

    @Test(arguments: damages)
    func `no run outside the damaged entry's span changes`(damage: Damage) throws {
        let device = try #require(RequesterID("01:00.0"))
        let before = try RecordedMachine(Self.snapshot()).mappings()
        let after = try RecordedMachine(Self.snapshot(damage: damage.name)).mappings()
        #expect(before.filter { $0.device != device } == after.filter { $0.device != device })
        #expect(before != after)
        guard let iova = damage.iova, let span = damage.span else {
            #expect(!after.contains { $0.device == device })
            return
        }
        let hole = try #require(IOVARange(first: IOVA(iova), bytes: span))
        #expect(
            Self.outside(hole, before.filter { $0.device == device })
                == Self.outside(hole, after.filter { $0.device == device }))
    }

    /// `runs` without the part inside `hole`.
    static func outside(_ hole: IOVARange, _ runs: [RecordedMapping]) -> [RecordedMapping] {
        runs.flatMap { run -> [RecordedMapping] in
            guard run.range.overlaps(hole) else { return [run] }
            var parts: [RecordedMapping] = []
            if run.range.first < hole.first {
                var below = run
                below.range = IOVARange(first: run.range.first, last: IOVA(hole.first.rawValue - 1))!
                parts.append(below)
            }
            if run.range.last > hole.last {
                var above = run
                above.range = IOVARange(first: IOVA(hole.last.rawValue + 1), last: run.range.last)!
                above.pa = PhysicalAddress(run.pa.rawValue + above.range.first.distance(from: run.range.first))
                parts.append(above)
            }
            return parts
        }
    }

    @Test(arguments: [nil, "loop"] as [String?])
    func `the audit finds that a device can reach a table page, at the leaf that lets it`(damage: String?) throws {
        let metadata = try ImageMetadata(file: Self.images + "vtd48.json")
        let image = try MachineImage(file: Self.images + "vtd48.elf", metadata: metadata)
        if let damage { try image.apply(damage: damage) }
        let snapshot = try Importer.importMachine(image)
        let device = RequesterID("01:00.0")
        let domain = try #require(snapshot.attachments.first { $0.requester == device }?.domain)
        let findings = Audit(snapshot).run(domain, memory: image.memory.view).findings
        let meant = findings.filter { $0.rule == .tableLeafIntoTable }
        #expect(meant.isEmpty == (damage == nil))
        #expect(damage == nil || meant.contains { $0.address == PhysicalAddress(0x1_44d5_6018) }, "\(meant.prefix(3))")
        #expect(findings.allSatisfy { $0.severity != .error || $0.rule == .tableLeafIntoTable })
        #expect(meant.allSatisfy { $0.device == device && $0.iova != nil })
    }

    @Test func `an address width that fits the unit but not the tables is not reported as clean`() throws {
        let findings = try Checker().check(Self.snapshot(damage: "aw-wrong"))
        let odd = findings.filter { $0.rule == .vtdContextAddressWidth }
        #expect(odd.map(\.device) == [RequesterID("01:00.0")])
        #expect(odd.map(\.address) == [PhysicalAddress(0x1_4427_3008)])
    }

    @Test func `mappings equal the truth, both ways`() throws {
        let rows = try AreaCSV.read(file: Self.images + "vtd48.truth.csv")
        struct Key: Hashable {
            var device: RequesterID
            var first: IOVA
            var last: IOVA
            var pa: UInt64
            var protection: UInt8
        }
        var truth: Set<Key> = []
        // The truth's rows are maximal already, but for the sources that they name: merge over those.
        var merged: [AreaCSV.Row] = []
        for row in rows.sorted(by: { ($0.requester, $0.range) < ($1.requester, $1.range) }) {
            if let last = merged.last, last.requester == row.requester, last.protection == row.protection,
                last.range.last.rawValue + 1 == row.range.first.rawValue,
                last.offset + last.range.lastOffset + 1 == row.offset
            {
                merged[merged.count - 1].range = IOVARange(first: last.range.first, last: row.range.last)!
            } else {
                merged.append(row)
            }
        }
        for row in merged {
            truth.insert(
                Key(
                    device: row.requester, first: row.range.first, last: row.range.last, pa: row.offset,
                    protection: row.protection.rawValue))
        }
        let machine = try RecordedMachine(Self.snapshot())
        let alias = RequesterID("03:00.0")
        let found = Set(
            machine.mappings().filter { $0.device != alias }.map {
                Key(
                    device: $0.device, first: $0.range.first, last: $0.range.last, pa: $0.pa.rawValue,
                    protection: $0.protection.rawValue)
            })
        #expect(truth.subtracting(found).isEmpty)
        #expect(found.subtracting(truth).isEmpty)
        #expect(!truth.isEmpty)
    }
}
