import Foundation
import Handover
import IOMMUModel
import Testing

@testable import Scenario

@Suite("Scenarios run")
struct ScenarioRunTests {
    /// A store folder of its own, removed at the end.
    static func inFolder<R>(_ body: (String) throws -> R) throws -> R {
        let folder = FileManager.default.temporaryDirectory.appending(path: "domstore-\(UUID().uuidString)").path()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try body(folder)
    }

    /// Fewer probes than the command line asks: debug builds walk slowly.
    static func options(_ folder: String) -> HandoverRun.Options {
        var options = HandoverRun.Options(store: folder)
        options.pagesPerDevice = 2000
        return options
    }

    static func run(_ file: String) throws -> HandoverReport {
        let scenario = try ScenarioFile.read(ScenarioFileTests.bytes(file), file: file)
        return try inFolder { try HandoverRun.run(scenario, options: options($0)) }
    }

    @Test("Every scenario of the fixtures comes to what it expects", arguments: ScenarioFileTests.files)
    func expected(file: String) throws {
        // The run itself holds the outcome against what the file expects, so it must expect something.
        let expect = try ScenarioFile.read(ScenarioFileTests.bytes(file), file: file).expect
        #expect(try Self.run(file).verdict == #require(expect?.verdict))
    }

    @Test(
        "Tampering is found in the stage and by the rule that are meant for it",
        arguments: [
            ("tamper-leaf", "audit: ", "table-memory-differs", "0x0000000100003000"),
            ("tamper-area", "audit: ", "area-address-differs", "0x0000000040000000"),
            ("tamper-context-entry", "restore: ", "lookup-memory-differs", "at 0x000000027f802200"),
            ("tamper-pasid-leaf", "audit: ", "table-memory-differs", "0x0000000040001000"),
            ("tamper-pasid-entry", "restore: ", "lookup-memory-differs", "at 0x000000027f03a040"),
            ("tamper-attachment", "restore: ", "attachment-entry-differs", "lookup entry 0x000000027f802200"),
        ])
    func tampering(name: String, stage: String, rule: String, place: String) throws {
        let report = try Self.run("\(name).json")
        let device = try #require(report.devices.first { $0.state == .quarantined })
        #expect(device.rule?.rawValue == rule)
        #expect(device.reason.hasPrefix(stage), "\(device.reason)")
        #expect(device.reason.contains(place), "\(device.reason)")
        // One of its PASIDs, none of its PASIDs.
        let all = report.devices.filter { $0.requester == device.requester }
        #expect(all.allSatisfy { $0.state == .quarantined })
        #expect(all.count == (name.hasPrefix("tamper-pasid") ? 3 : 1))
    }

    @Test("A wrong expectation fails the run")
    func wrongExpectation() throws {
        let text = String(decoding: try ScenarioFileTests.bytes("ordinary.json"), as: UTF8.self)
        for (old, new) in [
            ("\"verdict\": \"restored\"", "\"verdict\": \"degraded\""), ("\"EEXIST\"", "\"EBUSY\""),
            ("\"address\": \"0x112345678\"", "\"address\": \"0x112345679\""), ("\"fault\": 5", "\"fault\": 6"),
        ] {
            try #require(text.contains(old))
            let scenario = try ScenarioFile.read(Array(text.replacing(old, with: new).utf8), file: "x")
            #expect(throws: ScenarioError.self, "\(new)") {
                try Self.inFolder { try HandoverRun.run(scenario, options: Self.options($0)) }
            }
        }
    }

    @Test("A pass-through device keeps its entry through the whole handover")
    func passThrough() throws {
        let report = try Self.run("pass-through.json")
        #expect(report.devices.map(\.state) == [.replaced, .passedThrough])
    }

    @Test(
        "All PASIDs of a device are carried, or none",
        arguments: [
            ("pasids", ["0000:00:09.0", "0000:41:00.0"], 8), ("amd-mixed", ["0000:00:03.0"], 4),
            ("amd-nested", ["0000:00:03.0"], 2), ("pasid-refused", ["0000:41:00.0"], 1),
        ] as [(String, [String], Int)])
    func pasids(name: String, carried: [String], count: Int) throws {
        let report = try Self.run("\(name).json")
        for device in carried.compactMap({ RequesterID($0) }) {
            let all = report.devices.filter { $0.requester == device }
            #expect(all.allSatisfy { $0.state == .replaced })
        }
        #expect(report.devices.count { $0.pasid != nil && $0.state == .replaced } == count)
        let refused = report.devices.filter { $0.rule == .preservePASID }
        #expect(refused.map(\.errno) == (name == "pasid-refused" ? [.EOPNOTSUPP, .EOPNOTSUPP, .EOPNOTSUPP] : []))
    }
}
