import IOMMUModel
import Import
import PageTables
import Snapshot
import Testing

@testable import Validate

/// Tables that real kernels built, undamaged and with each of the named damages.
@Suite struct DamageTests {
    /// A damage, the rule meant for it, and the requests that may change with it.
    struct Damage: Sendable, CustomTestStringConvertible {
        var image: RealImage
        var name: String
        var rule: RuleID
        var severity: Severity = .error
        var device = RequesterID("01:00.0")!
        var pasid: UInt32?
        var iova: UInt64?
        /// Bytes below the damaged entry; `nil` for everything that its device does with ``lost``.
        var span: UInt64?
        /// The PASIDs that lose their translations, `nil` among them for untagged requests.
        var lost: [UInt32?] = [nil]
        /// Those that share the device's tables.
        var sharing: [RequesterID] = []
        var testDescription: String { "\(image) \(name)" }

        func mayChange(_ mapping: RecordedMapping) -> Bool {
            (mapping.device == device || sharing.contains(mapping.device)) && lost.contains(mapping.pasid?.rawValue)
        }
    }

    static func tables(_ image: RealImage, reserved: RuleID, _ severity: Severity = .error) -> [Damage] {
        [
            Damage(
                image: image, name: "reserved-bit", rule: reserved, severity: severity, iova: 0x20_0000, span: 0x20_0000
            ),
            Damage(
                image: image, name: "pointer-outside", rule: .tableOutsideMemory, iova: 0x20_0060_0000,
                span: 0x20_0000),
            Damage(
                image: image, name: "cleared-present", rule: .tableNonZeroNotPresent, severity: .warning,
                iova: 0x20_0000_0000, span: 0x4000_0000),
            Damage(image: image, name: "loop", rule: .tableReused, iova: 0x20_0120_0000, span: 0x20_0000),
        ]
    }

    static let damages: [Damage] =
        tables(.vtd48, reserved: .tableReservedBits) + tables(.vtdpasid, reserved: .tableReservedBits)
        + tables(.amdv1, reserved: .tableMisaligned, .warning)
        + tables(.smmuv3s2, reserved: .tableReservedBits, .warning).map { damage in
            // The tables of 01:00.0 are those of its root port, too, which is named first.
            var damage = damage
            (damage.device, damage.sharing) = (RequesterID("00:01.0")!, [damage.device])
            return damage
        } + [
            Damage(image: .vtd48, name: "aw-unsupported", rule: .vtdContextAddressWidth),
            Damage(image: .vtd48, name: "aw-wrong", rule: .tableLeavesDecodeAsTables),
            Damage(image: .vtdpasid, name: "pgtt-reserved", rule: .vtdPASIDTranslationType),
            Damage(image: .vtdpasid, name: "pasid-dir-outside", rule: .vtdPASIDTableUnreachable),
            Damage(
                image: .vtdpasid, name: "pdts-small", rule: .vtdPASIDBeyondDirectory, severity: .warning,
                device: RequesterID("00:09.0")!, lost: [20000, 32767]),
            Damage(
                image: .vtdpasid, name: "pasid-table-outside", rule: .vtdPASIDTableUnreachable,
                device: RequesterID("00:09.0")!, lost: [64]),
            Damage(image: .amdv1, name: "mode-wrong", rule: .amdDTEMode),
            Damage(image: .amdv1, name: "mode-reserved", rule: .amdDTEMode),
            Damage(image: .smmuv3s2, name: "s2-start-wrong", rule: .smmuSTEStage2),
            Damage(image: .smmuv3s2, name: "ste-config-reserved", rule: .smmuSTEConfig),
        ]

    @Test(arguments: RealImage.allCases)
    func `every damage that an image names is among the tests`(image: RealImage) throws {
        #expect(
            try image.metadata().damages.map(\.name).sorted()
                == Self.damages.filter { $0.image == image }.map(\.name).sorted())
    }

    @Test(arguments: RealImage.allCases)
    func `an undamaged image has no finding of severity error`(image: RealImage) throws {
        let findings = try Checker().check(image.snapshot())
        #expect(findings.filter { $0.severity == .error }.map(\.description) == [])
        let aliases = findings.filter { $0.rule == .requesterWithoutFunction }.map(\.device)
        let bridges: [RealImage: [String]] = [.vtd48: ["03:00.0"], .amdv1: ["02:00.0"]]
        #expect(aliases == bridges[image, default: []].map { RequesterID($0) })
        #expect(findings.contains { $0.rule == .areaWitnessMissing })
        // Sound machines look sound: no rule that judges by what is usual has anything to say.
        let judged: Set<RuleID> = [
            .tableLeavesDecodeAsTables, .vtdContextAddressWidth, .vtdPASIDAddressWidth, .amdDTEMode, .tableIgnoredBits,
        ]
        #expect(findings.filter { judged.contains($0.rule) } == [])
        let enabled = findings.filter { $0.rule == .vtdPASIDNotEnabled }.map(\.device)
        #expect(enabled == (image == .vtdpasid ? [RequesterID("00:09.0"), RequesterID("41:00.0")] : []))
    }

    @Test(arguments: damages)
    func `each damage gives the rule meant for it at its entry's address`(damage: Damage) throws {
        let patch = try #require(damage.image.metadata().damage(damage.name).patches.first)
        let findings = try Checker().check(damage.image.snapshot(damage: damage.name))
        let meant = findings.filter { $0.rule == damage.rule }
        #expect(meant.count == 1, "\(findings.filter { $0.severity == .error })")
        #expect(meant.first?.address == patch.address)
        #expect(meant.first?.device == damage.device)
        #expect(meant.first?.iova?.rawValue == damage.iova)
        #expect(meant.first?.severity == damage.severity)
        let clean = try Set(Checker().check(damage.image.snapshot()))
        RuleProductionTests.expectNothing(beside: damage.rule, in: findings.filter { !clean.contains($0) })
    }

    @Test(arguments: damages)
    func `no run outside the damaged entry's span changes`(damage: Damage) throws {
        let before = try RecordedMachine(damage.image.snapshot()).mappings()
        let after = try RecordedMachine(damage.image.snapshot(damage: damage.name)).mappings()
        #expect(before.filter { !damage.mayChange($0) } == after.filter { !damage.mayChange($0) })
        // AMD and Arm ignore the low bits of a large page's address.
        #expect((before != after) == (damage.name != "reserved-bit" || damage.severity == .error))
        guard let iova = damage.iova, let span = damage.span else {
            // With a wrong width something is translated, and none of it is true.
            if damage.name == "aw-wrong" {
                #expect(Set(before).isDisjoint(with: after.filter(damage.mayChange)))
            } else {
                #expect(!after.contains(where: damage.mayChange))
            }
            return
        }
        let hole = try #require(IOVARange(first: IOVA(iova), bytes: span))
        #expect(
            Self.outside(hole, before.filter(damage.mayChange)) == Self.outside(hole, after.filter(damage.mayChange)))
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
        let image = try RealImage.vtd48.image(damage: damage)
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

    @Test(arguments: RealImage.allCases)
    func `every domain of an undamaged image passes its audit against the image itself`(image: RealImage) throws {
        let machine = try image.image()
        let audit = try Audit(Importer.importMachine(machine))
        #expect(!audit.domains.isEmpty)
        for domain in audit.domains {
            #expect(audit.run(domain, memory: machine.memory.view).findings == [], "domain \(domain)")
        }
    }

    @Test func `an address width that fits the unit but not the tables is seen from the other entries too`() throws {
        let findings = try Checker().check(RealImage.vtd48.snapshot(damage: "aw-wrong"))
        let odd = findings.filter { $0.rule == .vtdContextAddressWidth }
        #expect(odd.map(\.device) == [RequesterID("01:00.0")])
        #expect(odd.map(\.address) == [PhysicalAddress(0x1_4427_3008)])
        #expect(odd.map(\.severity) == [.warning])
    }

    @Test(arguments: RealImage.allCases)
    func `mappings equal the truth, both ways`(image: RealImage) throws {
        let snapshot = try image.snapshot()
        let aliases = Set(snapshot.devices.filter { !$0.hasFunction }.map(\.requester))
        let truth = try Set(image.truth())
        let found = try Set(RecordedMachine(snapshot).mappings().filter { !aliases.contains($0.device) })
        #expect(truth.subtracting(found).isEmpty)
        #expect(found.subtracting(truth).isEmpty)
        #expect(!truth.isEmpty)
    }

    @Test(arguments: RealImage.allCases)
    func `a page of each run of the truth translates by itself as the run says`(image: RealImage) throws {
        let machine = try RecordedMachine(image.snapshot())
        for run in try image.truth() {
            let offset = run.range.lastOffset / 2
            let access: Access = run.protection.contains(.read) ? .read : .write
            let trace = try #require(
                machine.trace(
                    device: run.device, pasid: run.pasid, iova: IOVA(run.range.first.rawValue + offset), access: access)
            )
            guard case .address(let pa, let protection, _) = trace.ending else {
                Issue.record("\(trace)")
                continue
            }
            #expect(pa.rawValue == run.pa.rawValue + offset)
            #expect(protection == run.protection)
        }
    }
}
