import Foundation
import Hardware
import IOMMUModel
import Snapshot
import Store
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

/// One edit of a sound machine with PASIDs, and the finding that it must give.
struct PASIDRuleCase: Sendable, CustomTestStringConvertible {
    var vendor: PASIDMachine.Vendor
    var rule: RuleID
    var name: String
    var severity: Severity
    var device: RequesterID?
    var pasid: UInt32?
    var iova: UInt64?
    /// Edits the machine and answers the address that the finding must carry.
    var edit: @Sendable (inout PASIDMachine) throws -> PhysicalAddress?

    init(
        _ vendor: PASIDMachine.Vendor, _ rule: RuleID, _ name: String, severity: Severity = .error,
        device: RequesterID? = nil, pasid: UInt32? = nil, iova: UInt64? = nil,
        edit: @escaping @Sendable (inout PASIDMachine) throws -> PhysicalAddress?
    ) {
        self.vendor = vendor
        self.rule = rule
        self.name = name
        self.severity = severity
        self.device = device
        self.pasid = pasid
        self.iova = iova
        self.edit = edit
    }

    var testDescription: String { "\(vendor) \(rule.rawValue): \(name)" }
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
        Self.expectNothing(beside: example.rule, in: findings)
    }

    /// What is found in a sealed generation that holds the same; `nil` where the format itself refuses to hold it.
    static func findings(stored snapshot: Snapshot, limits: Checker.Limits = .init()) throws -> [Finding]? {
        let folder = FileManager.default.temporaryDirectory.path + "/rules-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        do throws(StoreError) {
            _ = try FreshGeneration.write(snapshot, number: 1, to: folder + "/1.domstore")
        } catch { return nil }
        let state = try GenerationReader(path: folder + "/1.domstore").checkedState()
        return try Checker(limits: limits).check(try #require(state.snapshot), defects: state.defects)
    }

    @Test(arguments: RuleCase.all)
    func `a sealed generation gives the same findings`(example: RuleCase) throws {
        var machine = try TestMachine()
        _ = try example.edit(&machine)
        let findings = try Checker(limits: example.limits).check(machine.snapshot)
        let stored = try Self.findings(stored: machine.snapshot, limits: example.limits)
        // What no writer of the format can write: a reader's tests have it.
        let isUnwritable = example.rule == .recordMalformed || example.rule == .referenceUnresolved
        #expect(stored == findings || (stored == nil && isUnwritable))
    }

    @Test(arguments: PASIDMachine.Vendor.allCases)
    func `a sound machine with PASIDs has no finding`(vendor: PASIDMachine.Vendor) throws {
        #expect(try PASIDMachine(vendor).check() == [])
    }

    @Test(arguments: PASIDRuleCase.all)
    func `a sealed generation with PASIDs gives the same findings`(example: PASIDRuleCase) throws {
        var machine = try PASIDMachine(example.vendor)
        _ = try example.edit(&machine)
        #expect(try Self.findings(stored: machine.snapshot) == machine.check())
    }

    @Test(arguments: PASIDRuleCase.all)
    func `one edit of a machine with PASIDs gives the finding meant for it`(example: PASIDRuleCase) throws {
        var machine = try PASIDMachine(example.vendor)
        let address = try example.edit(&machine)
        let findings = try machine.check()
        let expected = findings.filter {
            $0.rule == example.rule && $0.device == example.device && $0.pasid?.rawValue == example.pasid
                && $0.address == address && $0.iova?.rawValue == example.iova
        }
        #expect(
            expected.count == 1,
            "\(address.map(\.description) ?? "-"); found: \(findings.map(\.description).joined(separator: "\n"))")
        #expect(expected.first?.severity == example.severity)
        Self.expectNothing(beside: example.rule, in: findings)
    }

    /// Only what the rule implies, and what those imply.
    static func expectNothing(beside rule: RuleID, in findings: [Finding]) {
        var allowed: Set<RuleID> = [rule]
        var open = [rule]
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
        .deviceMissing: "Restore: needs the machine", .pasidBeyondDevice: "Restore: needs the machine",
        .tableMemoryDiffers: "Audit: needs the memory", .lookupMemoryDiffers: "LookupAudit: needs the memory",
        .preserveNoFunction: "Handover: a guard", .preserveATS: "Handover: a guard",
        .preserveGroup: "Handover: a guard", .preserveOwner: "Handover: a guard",
        .preserveDomain: "Handover: a guard", .preservePASID: "Handover: a guard",
        .compareDiffers: "Restore: needs the new tables (TreeComparison)",
        .smmuStreamTable: "SMMURuleTests: an imported image", .smmuSTEConfig: "SMMURuleTests: an imported image",
        .smmuSTEStage2: "SMMURuleTests: an imported image", .smmuSTENotRead: "SMMURuleTests: an imported image",
    ]

    @Test(arguments: RuleID.allCases)
    func `every rule is produced by an edit here or has its place elsewhere`(id: RuleID) {
        let here = RuleCase.all.contains { $0.rule == id } || PASIDRuleCase.all.contains { $0.rule == id }
        #expect(here != (Self.elsewhere[id] != nil), "\(id.rawValue)")
    }
}
