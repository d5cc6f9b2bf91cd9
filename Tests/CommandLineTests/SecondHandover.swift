import Foundation
import Testing

/// A directory into which a first handover was sealed (the host died right after it, so that its memory still waits), and
/// a second one that is about to be made into it, of another state of the machine.
struct SecondHandover {
    /// Which handover a restore went on from.
    enum Outcome: Hashable {
        case first
        case second
        /// The second one is sealed, but its memory has no nonce: not there yet, or finished already.
        case secondWithoutNonce
    }

    private let folder: ScratchFolder
    private let expected: Expected

    /// What each of the two states maps.
    struct Expected {
        var first: [String: [Truth.Run]]
        var second: [String: [Truth.Run]]
    }

    var store: String { folder["store"] }
    var memory: String { folder["second.elf"] }

    /// The command line of the second handover.
    var arguments: [String] {
        ["handover", Fixtures.scenarios + "two-devices-moved.json", "--store", store, "--memory", memory]
    }

    private static let ground = Result<(folder: ScratchFolder, expected: Expected), any Error> {
        let folder = try ScratchFolder(in: parent)
        func handOver(_ scenario: String, _ name: String, _ store: String, _ options: [String]) throws -> Int32 {
            let arguments = [
                "handover", Fixtures.scenarios + scenario + ".json", "--store", folder[store], "--memory",
                folder[name + ".elf"],
            ]
            return try Binary.run(arguments + options).status
        }
        // What an undisturbed run comes to.
        try #require(try handOver("two-devices", "plain-first", "plain", []) == 0)
        try #require(try handOver("two-devices-moved", "plain-second", "plain", []) == 0)
        let expected = Expected(
            first: try mappings(in: folder, of: "plain-first"), second: try mappings(in: folder, of: "plain-second"))
        try #require(expected.first.count == 2 && expected.second.count == 2 && expected.first != expected.second)
        for name in folder.names { try FileManager.default.removeItem(atPath: folder[name]) }
        try #require(try handOver("two-devices", "first", "store", ["--crash-at", "after-seal"]) == 128 + SIGKILL)
        return (folder, expected)
    }

    private static var parent: String { FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : "/tmp" }

    /// A copy of the ground, for one try.
    init() throws {
        let ground = try Self.ground.get()
        folder = try ScratchFolder(in: Self.parent)
        for name in ground.folder.names {
            try FileManager.default.copyItem(atPath: ground.folder[name], toPath: folder[name])
        }
        expected = ground.expected
    }

    /// What memory translates, as an import finds it.
    private static func mappings(in folder: ScratchFolder, of name: String) throws -> [String: [Truth.Run]] {
        let file = folder[name + ".import"]
        let run = try Binary.run(["import", "--meta", folder[name + ".json"], "--store", file, "--force"])
        try #require(run.status == 0, "\(run.errors)")
        return try Truth.runs(ofMappings: try Binary.run(["mappings", file, "--format", "csv"]).output)
    }

    /// Restores after the second handover ended, however it did, and holds the outcome against the only two it may have:
    /// the whole first state or the whole second one, each with its own memory, the other memory refused.
    func restore() throws -> Outcome {
        let ground = try Self.ground.get().folder
        func unchanged() throws {
            #expect(try folder.bytes(of: "store/1.domstore") == ground.bytes(of: "store/1.domstore"))
        }
        try unchanged()
        let list = try Binary.run(["generations", store, "--json"])
        let generations = try JSONSerialization.jsonObject(with: Data(list.output.utf8)) as? [[String: Any]] ?? []
        let sealed = generations.filter { $0["state"] as? String == "sealed" }.compactMap { $0["generation"] as? Int }
        for number in sealed {
            #expect(try Binary.run(["verify-seal", store, "--generation", "\(number)"]).status == 0)
        }
        let newest = try #require(sealed.last)
        defer { #expect(throws: Never.self) { try unchanged() } }
        if newest == 1 {
            // The memory of the second machine was never handed over.
            let other = try Binary.run(["restore", store, "--memory", memory, "--json"])
            #expect(other.status != 0)
            if !other.output.isEmpty { #expect(try HandoverReportText(other.output).verdict == "cold-boot") }
            let report = try goOn(with: "first")
            #expect(report.verdict == "restored" && report.generation == 1)
            #expect(try Self.mappings(in: folder, of: "first") == expected.first)
            return .first
        }
        #expect(newest == 2)
        let other = try HandoverReportText(
            try Binary.run(["restore", store, "--memory", folder["first.elf"], "--json"]).output)
        #expect(other.verdict == "stop" && other.rule == "nonce-differs" && other.generation == 2)
        let report = try goOn(with: "second")
        #expect(report.generation == 2)
        #expect(try Self.mappings(in: folder, of: "second") == expected.second)
        if report.verdict == "cold-boot", report.rule == "nonce-absent" { return .secondWithoutNonce }
        #expect(report.verdict == "restored")
        return .second
    }

    private func goOn(with name: String) throws -> HandoverReportText {
        let run = try Binary.run(
            ["restore", store, "--memory", folder[name + ".elf"], "--record", store, "--json"])
        return try HandoverReportText(run.output)
    }
}
