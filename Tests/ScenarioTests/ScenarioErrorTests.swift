import Foundation
import Handover
import IOMMUModel
import Testing

@testable import Scenario

/// Scenarios that cannot be run, and inputs beside them.
@Suite("Scenario errors")
struct ScenarioErrorTests {
    private func error(_ old: String, _ new: String, memory: String? = nil) throws -> ScenarioError? {
        let text = String(decoding: try ScenarioFileTests.bytes("51-page-overwritten.json"), as: UTF8.self)
        try #require(text.contains(old))
        let scenario = try ScenarioFile.read(Array(text.replacing(old, with: new).utf8), file: "x")
        do {
            return try ScenarioRunTests.inFolder { folder in
                var options = ScenarioRunTests.options(folder)
                options.memory = memory
                _ = try HandoverRun.run(scenario, options: options)
                return nil
            }
        } catch { return error as? ScenarioError }
    }

    @Test("What does not fit together, has no room, or cannot be written is told so")
    func run() throws {
        let tampered = "\"what\": \"table-page\", \"device\": \"0000:00:04.0\", \"iova\": "
        let found = try error(tampered + "\"0x200000\"", tampered + "\"0x7000000000\"")
        guard case .inconsistent("tamper[0]", _) = found else {
            Issue.record("\(found.map { "\($0)" } ?? "run")")
            return
        }
        guard case .noFrames = try error("\"table_pages\": 256", "\"table_pages\": 1000000000") else {
            Issue.record("room for everything")
            return
        }
        guard case .io = try error("\"seed\"", "\"seed\"", memory: "/nowhere/at/all.elf") else {
            Issue.record("written nowhere")
            return
        }
    }
}
