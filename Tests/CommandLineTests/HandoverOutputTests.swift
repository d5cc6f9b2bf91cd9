import Foundation
import Testing

@testable import domstore

/// How a handover is told to people and to programs.
@Suite struct HandoverOutputTests {
    @Test func `a narrow terminal gets no line that is wider than it, a pipe one line per phase`() throws {
        let made = try SmallHandover()
        let run = try Binary.runOnTerminal(
            ["handover", made.scenario, "--store", made.store, "--color", "never"], columns: 60)
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.lines.allSatisfy { $0.count <= 60 || $0.contains(made.store) }, "\(run.output)")
        let piped = try made.run().lines
        let phases = [
            "start", "preserve", "pre-copy", "freeze", "seal", "jump", "restore", "audit", "claim", "adopt", "rebuild",
            "compare",
            "replace", "finish", "blackout",
        ]
        #expect(piped.filter { $0.hasSuffix(" ms]") }.map { $0.prefix { $0 != " " } } == phases.map { $0[...] })
        let steps = piped.filter { $0.hasPrefix("step ") }
        #expect(steps.count == 10 && steps.allSatisfy { !$0.contains("\u{1b}") })
        #expect(piped.filter { $0.first != " " }.count == steps.count + phases.count + 6 + 4 + 1)
    }

    @Test func `each refusal has its errno and rule, and each rule is explained once`() throws {
        let lines = try SmallHandover().run().lines
        let refused = lines.filter { $0.hasPrefix("refused ") }.map { $0.split(separator: " ").map(String.init) }
        #expect(
            refused == [
                ["refused", "0000:00:05.0", "EOPNOTSUPP", "preserve-ats"],
                ["refused", "0000:00:06.0", "EOPNOTSUPP", "preserve-singleton-group"],
                ["refused", "0000:00:06.1", "EOPNOTSUPP", "preserve-singleton-group"],
                ["refused", "0000:00:08.0", "EINVAL", "preserve-dma-owner"],
                ["refused", "0000:03:00.0", "ENODEV", "preserve-no-function"],
            ])
        let rules = lines.filter { $0.hasPrefix("rule ") }
        #expect(rules.count == 4)
        #expect(rules[1] == "rule preserve-singleton-group: A preserved device is alone in its group (EOPNOTSUPP).")
        #expect(lines.last == "verdict: restored (generation 1)")
        #expect(lines.contains { $0.hasPrefix("claim     1 device, ") })
    }

    @Test func `a scenario's steps say what was asked and answered, and where the device stood and stands`() throws {
        let folder = try ScratchFolder()
        let run = try Binary.run([
            "handover", Fixtures.scenarios + "31-reset-while-unclaimed.json", "--store", folder["out"],
        ])
        #expect(run.status == 0, "\(run.errors)")
        for line in [
            "step 6    mark hwpt=1 token=7", "then 1    reset device=0000:00:04.0  EBUSY  D6",
            "then 2    retrieve device=0000:00:04.0 session=1  D6 → D7",
            "then 6    reset device=0000:00:04.0 scope=bus  EBUSY  D8",
            "then 16   compare device=0000:00:04.0 hwpt=1  D9 → D10",
            "then 17   replace device=0000:00:04.0 hwpt=1  D10 → D11",
        ] { #expect(run.lines.contains { $0 == line }, "\(line)") }
    }

    @Test func `json is one object whose keys are plain words`() throws {
        let run = try SmallHandover().run("--json")
        let value = try JSONSerialization.jsonObject(with: Data(run.output.utf8))
        let object = try #require(value as? [String: Any])
        #expect(
            Set(object.keys) == [
                "steps", "phases", "blackout_seconds", "devices", "generation", "recorded", "rule", "reason", "verdict",
            ])
        let steps = try #require(object["steps"] as? [[String: Any]])
        #expect(
            steps.allSatisfy {
                Set($0.keys) == ["number", "after_jump", "do", "arguments", "errno", "before", "after"]
            })
        let phases = try #require(object["phases"] as? [[String: Any]])
        // From the freeze until every device is restored.
        let blackout = phases[3...6]
        #expect(blackout.map { $0["phase"] as? String } == ["freeze", "seal", "jump", "restore"])
        let seconds = blackout.reduce(0) { $0 + ($1["seconds"] as? Double ?? .nan) }
        #expect(abs(seconds - (object["blackout_seconds"] as? Double ?? .nan)) < 1e-9)
        let keys = Set(phases.flatMap { ($0["counts"] as? [String: Any] ?? [:]).keys })
        #expect(keys.isSuperset(of: ["dma_probes", "old_table_pages_freed", "table_pages"]))
        #expect(keys.allSatisfy { $0.allSatisfy { $0.isLowercase || $0 == "_" } }, "\(keys)")
        let devices = try #require(object["devices"] as? [[String: Any]])
        #expect(devices.allSatisfy { Set($0.keys) == ["device", "pasid", "state", "errno", "rule", "reason"] })
    }

    @Test(arguments: [
        ("a bb ccc", 80, ["a bb ccc"]), ("a bb ccc", 5, ["a bb", "  ccc"]), ("aaaaaaaaa b", 5, ["aaaaaaaaa", "  b"]),
        ("name  one two three", 12, ["name  one", "  two three"]),
    ])
    func `lines break at spaces and no word is cut`(text: String, width: Int, expected: [String]) {
        #expect(Wrapping.lines(text, width: width, indent: 2) == expected)
        #expect(Wrapping.lines(text, width: nil, indent: 2) == [text])
    }
}
