import Hardware
import IOMMUModel
import Snapshot
import Testing

@testable import Validate

/// One edit of a sound machine, and the finding that it must give.
struct RuleCase: Sendable, CustomTestStringConvertible {
    var rule: RuleID
    var name: String
    var severity: Severity = .error
    var device: RequesterID?
    var iova: UInt64?
    var limits = Checker.Limits()
    /// Edits the machine and answers the address that the finding must carry.
    var edit: @Sendable (inout TestMachine) throws -> PhysicalAddress?

    var testDescription: String { "\(rule.rawValue): \(name)" }
}

@Suite struct RuleProductionTests {
    @Test func `a sound machine has no finding`() throws {
        #expect(try TestMachine().check() == [])
    }

    @Test(arguments: RuleCase.all)
    func `one edit gives the finding meant for it`(example: RuleCase) throws {
        var machine = try TestMachine()
        let address = try example.edit(&machine)
        let findings = try Checker(limits: example.limits).check(machine.snapshot)
        let expected = findings.filter {
            $0.rule == example.rule && $0.device == example.device && $0.address == address
                && $0.iova?.rawValue == example.iova
        }
        #expect(expected.count == 1, "found: \(findings.map(\.description).joined(separator: "\n"))")
        #expect(expected.first?.severity == example.severity)
        // Beside it only what the rule implies, and what those imply.
        var allowed: Set<RuleID> = [example.rule]
        var open = [example.rule]
        while let next = open.popLast() {
            for implied in Rule.of(next).implied where allowed.insert(implied).inserted { open.append(implied) }
        }
        let others = findings.filter { !allowed.contains($0.rule) && $0.severity == .error }
        #expect(others.isEmpty, "beside it: \(others.map(\.description).joined(separator: "\n"))")
        #expect(findings == findings.sorted())
    }

    /// Rules that no snapshot can break by itself, and where they are produced instead.
    static let elsewhere: [RuleID: String] = [
        .storeApplication: "Store: the header of the file", .storeVersion: "Store: the header of the file",
        .storeSchema: "Store: the schema of the file", .recordChecksum: "Store: a row and its checksum",
        .manifestDiffers: "Store: the manifest", .rootDigestDiffers: "Store: the seal",
        .sealMissing: "ManifestChecked: a restore's own question",
        .sealRevoked: "ManifestChecked: a restore's own question",
        .nonceAbsent: "ManifestChecked: needs the memory", .nonceDiffers: "ManifestChecked: needs the memory",
        .unitMissing: "Restore: needs the machine", .unitRegisterDiffers: "Restore: needs the machine",
        .deviceMissing: "Restore: needs the machine",
        .tableMemoryDiffers: "Audit: needs the memory", .lookupMemoryDiffers: "LookupAudit: needs the memory",
        .preserveNoFunction: "Handover: a guard", .preserveATS: "Handover: a guard",
        .preserveGroup: "Handover: a guard", .preserveOwner: "Handover: a guard",
        .preserveDomain: "Handover: a guard", .preservePASID: "Handover: a guard",
        .compareDiffers: "Restore: needs the new tables (TreeComparison)",
    ]

    @Test(arguments: RuleID.allCases)
    func `every rule is produced by an edit here or has its place elsewhere`(id: RuleID) {
        let here = RuleCase.all.contains { $0.rule == id }
        #expect(here != (Self.elsewhere[id] != nil), "\(id.rawValue)")
    }
}
