import Foundation
import Testing

/// Handovers of devices with PASIDs that die on the way: whoever goes on carries every PASID, or the device not at all.
@Suite struct PASIDCrashTests {
    /// What a finished handover came to, seen from outside.
    struct End: Equatable {
        var devices: [String: String]
        var verdict: String
        /// What memory translates, as an import finds it.
        var mappings: [String: [Truth.Run]]

        init(_ outcome: Binary.Outcome, _ folder: ScratchFolder) throws {
            try #require(outcome.status == 0, "\(outcome.errors)")
            let report = try HandoverReportText(outcome.output)
            devices = report.devices
            verdict = report.verdict
            let imported = folder["after.domstore"]
            let run = try Binary.run(["import", "--meta", folder["memory.json"], "--store", imported, "--force"])
            try #require(run.status == 0, "\(run.errors)")
            mappings = try Truth.runs(ofMappings: Binary.run(["mappings", imported, "--format", "csv"]).output)
        }
    }

    private static func handover(_ scenario: String, in folder: ScratchFolder, _ options: String...) throws
        -> Binary.Outcome
    {
        try Binary.run(
            ["handover", Fixtures.scenarios + scenario + ".json", "--store", folder["store"], "--json"]
                + ["--memory", folder["memory.elf"]] + options)
    }

    /// The scenarios, how many requests with a PASID each hands over, and of how many the mappings are imported (a guest's
    /// tables are not: what they reach is asked by the DMA of the restore itself).
    private static let counts: [String: (requests: Int, mapped: Int)] = [
        "pasids": (8, 8), "amd-mixed": (4, 4), "amd-nested": (2, 0),
    ]

    private static let undisturbed = Dictionary(
        uniqueKeysWithValues: counts.keys.map { name in
            (
                name,
                Result {
                    let folder = try ScratchFolder()
                    return try End(handover(name, in: folder), folder)
                }
            )
        })

    @Test(
        arguments: ["pasids", "amd-mixed", "amd-nested"], ["after-seal", "in-restore", "after-restore", "in-replace"])
    func `a handover that died ends as one that did not`(scenario: String, point: String) throws {
        let expected = try Self.undisturbed[scenario]!.get()
        #expect(expected.devices.count { $0.key.contains("#") } == Self.counts[scenario]?.requests)
        #expect(expected.mappings.count { $0.key.contains("#") } == Self.counts[scenario]?.mapped)
        let folder = try ScratchFolder()
        let dead = try Self.handover(scenario, in: folder, "--crash-at", point)
        #expect(dead.status == 128 + SIGKILL)
        let outcome = try Binary.run(
            ["restore", folder["store"], "--memory", folder["memory.elf"], "--record", folder["store"], "--json"])
        var found = try End(outcome, folder)
        // Who was refused before the seal is in no record.
        found.devices.merge(expected.devices.filter { $0.value.hasPrefix("refused") }) { own, _ in own }
        #expect(found == expected)
    }
}
