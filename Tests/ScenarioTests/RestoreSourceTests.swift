import Foundation
import IOMMUModel
import Store
import Testing

@testable import Scenario

@Suite("Which generation a restore starts from")
struct RestoreSourceTests {
    /// A folder with a handover's generations 1 and 2, and an open 3 with `events`.
    static func store(_ events: [Event], _ body: (String) throws -> Void) throws {
        let text = String(decoding: try ScenarioFileTests.bytes("refusals.json"), as: UTF8.self)
        let small = text.replacing("\"bytes\": \"0x40000000\"", with: "\"bytes\": \"0x200000\"")
        let scenario = try ScenarioFile.read(Array(small.utf8), file: "small.json")
        try ScenarioRunTests.inFolder { folder in
            _ = try HandoverRun.run(scenario, options: ScenarioRunTests.options(folder))
            let path = try StoreLocation(folder).path(of: 3)
            let writer = try GenerationWriter(creating: path, number: 3, origin: .engine)
            try writer.append(events)
            try writer.release()
            try body(folder)
        }
    }

    @Test("A revoked seal is a cold boot, whether its generation is named or not", arguments: [nil, 1] as [UInt64?])
    func revoked(generation: UInt64?) throws {
        let revoke = Event(
            sequence: 1, timeNanoseconds: 1, kind: .revoke, name: "revoke", arguments: [.init("generation", "1")])
        try Self.store([revoke]) { folder in
            var request = HandoverRun.RestoreRequest(store: folder)
            request.generation = generation
            let report = try HandoverRun.restore(request, options: .init(store: folder))
            #expect(report.verdict == "cold-boot")
            #expect(report.verdictRule == .sealRevoked)
            #expect(report.verdictReason == "the seal of generation 1 was revoked: the old engine went on")
        }
    }

    @Test("Without a revocation the same generation is restored, past the open ones")
    func counted() throws {
        try Self.store([]) { folder in
            let report = try HandoverRun.restore(.init(store: folder), options: .init(store: folder))
            #expect(report.verdict == "reconstructed")
            #expect(report.generation == 1)
            #expect(try RestoreSource.find(nil, in: StoreLocation(folder)).get().passedOver == [2, 3])
        }
    }

    @Test("A folder without any seal is a cold boot")
    func unsealed() throws {
        try Self.store([]) { folder in
            try FileManager.default.removeItem(atPath: folder + "/1.domstore")
            let report = try HandoverRun.restore(.init(store: folder), options: .init(store: folder))
            #expect(report.verdict == "cold-boot")
            #expect(report.verdictRule == .sealMissing)
        }
    }
}
