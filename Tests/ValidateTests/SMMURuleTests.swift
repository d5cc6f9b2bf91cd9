import IOMMUModel
import Import
import PageTables
import Snapshot
import Testing

@testable import Validate

/// One word of an SMMUv3's structures that a real kernel built, and the finding that it must give.
struct SMMURuleCase: Sendable, CustomTestStringConvertible {
    var rule: RuleID
    var name: String
    var severity: Severity = .error
    /// Of the word; `nil`: a register.
    var address: UInt64?
    /// What is set in it.
    var set: UInt64 = 0
    /// What is cleared in it first.
    var clear: UInt64 = 0
    /// Where it is reported: at `address` unless another.
    var reported: UInt64?
    var device: RequesterID?
    var iova: UInt64?
    var register: String?

    var testDescription: String { "\(rule.rawValue): \(name)" }

    static let device = RequesterID("01:00.0")!
    /// The stream table entry of 01:00.0.
    static let entry: UInt64 = 0xfc18_4000
    /// The descriptor of its bus.
    static let descriptor: UInt64 = 0x1_039d_8008

    static func entry(
        _ rule: RuleID, _ name: String, word: UInt64, clear: UInt64 = 0, set: UInt64 = 0,
        severity: Severity = .error, reported: UInt64? = nil
    ) -> SMMURuleCase {
        SMMURuleCase(
            rule: rule, name: name, severity: severity, address: entry + word * 8, set: set, clear: clear,
            reported: reported.map { entry + $0 * 8 }, device: device)
    }

    static let all: [SMMURuleCase] = [
        .entry(.smmuSTEConfig, "a reserved Config", word: 0, clear: 0xe, set: 2),
        .entry(.smmuSTEConfig, "not valid, yet not empty", word: 0, clear: 1, severity: .warning),
        .entry(.smmuSTEStage2, "a start level that the input does not fit", word: 2, clear: 3 << 38, set: 1 << 38),
        .entry(.smmuSTENotRead, "a start level of small tables", word: 2, set: 3 << 38, severity: .warning),
        .entry(.smmuSTEStage2, "more input than the unit has", word: 2, clear: 0x3f << 32, set: 16 << 32),
        .entry(.smmuSTEStage2, "tables of AArch32", word: 2, clear: 1 << 51),
        .entry(.smmuSTEStage2, "a root above the output size", word: 3, set: 1 << 45, reported: 2),
        .entry(.smmuSTENotRead, "a granule of 64 KiB", word: 2, set: 1 << 46, severity: .warning),
        .entry(.smmuSTENotRead, "big-endian tables", word: 2, set: 1 << 52, severity: .warning),
        .entry(.smmuSTEConfig, "stage 1, which the unit lacks", word: 0, clear: 0xe, set: 0xa),
        SMMURuleCase(
            rule: .smmuStreamTable, name: "a reserved bit of a descriptor", severity: .warning, address: descriptor,
            set: 1 << 60, device: RequesterID("01:00.0")),
        SMMURuleCase(
            rule: .smmuStreamTable, name: "a span larger than the split", address: descriptor, set: 10, clear: 31,
            device: RequesterID("01:00.0")),
        SMMURuleCase(
            rule: .smmuStreamTable, name: "an array outside memory", address: descriptor, set: 1 << 40,
            device: RequesterID("01:00.0")),
        SMMURuleCase(
            rule: .smmuStreamTable, name: "translation is off", clear: 1, register: "cr0"),
        SMMURuleCase(
            rule: .smmuStreamTable, name: "a reserved format", set: 2 << 16, register: "strtab_base_cfg"),
    ]

    /// The image's snapshot with the word changed.
    func snapshot() throws -> Snapshot {
        let image = try RealImage.smmuv3s2.image()
        if let address {
            let word = try #require(image.memory.word(at: PhysicalAddress(address)))
            try #require(image.memory.setWord(word & ~clear | set, at: PhysicalAddress(address)))
        }
        var snapshot = try Importer.importMachine(image)
        for index in snapshot.units[0].registers.indices where snapshot.units[0].registers[index].name == register {
            let value = snapshot.units[0].registers[index].value
            snapshot.units[0].registers[index].value = value & ~clear | set
        }
        return snapshot
    }
}

@Suite struct SMMURuleTests {
    @Test(arguments: SMMURuleCase.all)
    func `one word gives the finding meant for it, in memory and from a sealed generation`(example: SMMURuleCase) throws
    {
        let clean = try Set(Checker().check(RealImage.smmuv3s2.snapshot()))
        let snapshot = try example.snapshot()
        let findings = try Checker().check(snapshot)
        let new = findings.filter { !clean.contains($0) }
        let meant = new.filter { $0.rule == example.rule }
        #expect(!meant.isEmpty, "\(new)")
        #expect(meant.allSatisfy { $0.severity == example.severity })
        #expect(meant.first?.address == (example.reported ?? example.address).map { PhysicalAddress($0) })
        #expect(meant.first?.device == example.device)
        RuleProductionTests.expectNothing(beside: example.rule, in: new)
        #expect(try RuleProductionTests.findings(stored: snapshot) == findings)
    }

    @Test func `every rule of an SMMUv3 has an edit here`() {
        let rules = RuleID.allCases.filter { $0.rawValue.hasPrefix("smmu-") }
        #expect(Set(SMMURuleCase.all.map(\.rule)) == Set(rules))
    }

    /// Leaves and tables of the one domain of 01:00.0: what the hardware makes of them is the format's own test.
    @Test(
        arguments: [
            (0x1_0482_3008, UInt64(0), UInt64(1) << 10, RuleID.tableNoAccess, Severity.warning, "access flag"),
            (0x1_0482_3008, 1 << 46, 0, .tableReservedBits, .error, "output size"),
            (0x1_0482_3008, 1 << 50, 0, .tableReservedBits, .warning, "to be zero"),
            (0x1_0482_3008, 1 << 52, 0, .tableContiguousDiffers, .warning, "another place"),
            (0x1_043f_6018, 1 << 61, 0, .tableReservedBits, .warning, "to be zero"),
        ] as [(UInt64, UInt64, UInt64, RuleID, Severity, String)])
    func `words of tables`(
        address: UInt64, set: UInt64, clear: UInt64, rule: RuleID, severity: Severity, text: String
    ) throws {
        let image = try RealImage.smmuv3s2.image()
        let word = try #require(image.memory.word(at: PhysicalAddress(address)))
        try #require(image.memory.setWord(word & ~clear | set, at: PhysicalAddress(address)))
        let clean = try Set(Checker().check(RealImage.smmuv3s2.snapshot()))
        let new = try Checker().check(Importer.importMachine(image)).filter { !clean.contains($0) }
        let meant = new.filter { $0.rule == rule }
        #expect(meant.map(\.address) == [PhysicalAddress(address)], "\(new)")
        #expect(meant.map(\.severity) == [severity])
        #expect(meant.first?.message.contains(text) == true, "\(meant)")
        RuleProductionTests.expectNothing(beside: rule, in: new)
    }
}
