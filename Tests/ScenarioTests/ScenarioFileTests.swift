import Foundation
import IOMMUModel
import Testing

@testable import Engine
@testable import Scenario

@Suite("Scenario files")
struct ScenarioFileTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/scenarios")

    static var files: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.path())) ?? []).filter { $0.hasSuffix(".json") }
            .sorted()
    }

    static func bytes(_ file: String) throws -> [UInt8] { Array(try Data(contentsOf: folder.appending(path: file))) }

    @Test("There are scenarios to run, and the table of their folder has a true line for each")
    func present() throws {
        // All that the sources number but those that need the kernel's serialised arrays.
        let numbers = Set(Self.files.compactMap { Int($0.prefix(2)) })
        #expect(numbers == Set(1...54).subtracting([3, 4, 5, 6, 7, 40, 49]))
        let table = String(decoding: try Self.bytes("README.md"), as: UTF8.self).split(separator: "\n")
        for file in Self.files {
            let scenario = try ScenarioFile.read(Self.bytes(file), file: file)
            let answers =
                (scenario.steps + (scenario.after ?? [])).compactMap(\.expect)
                + (scenario.expect?.refused ?? []).map(\.errno)
            let columns = [
                "`\(scenario.name)`", scenario.about ?? "", scenario.expect?.verdict ?? "",
                scenario.expect?.rule.map { "`\($0.rawValue)`" } ?? "",
                Set(answers.map(\.name)).sorted().joined(separator: ", "),
            ]
            let line = "| \(columns.joined(separator: " | ")) |"
            #expect(table.contains { $0 == line }, "Fixtures/scenarios/README.md has no line: \(line)")
        }
    }

    @Test("Every scenario of the fixtures reads and is named as its file", arguments: files)
    func reads(file: String) throws {
        let scenario = try ScenarioFile.read(Self.bytes(file), file: file)
        #expect(scenario.name + ".json" == file)
        #expect(!scenario.steps.isEmpty)
    }

    @Test("The published schema has the keys and the operations that are read, and no others")
    func schema() throws {
        let value = try JSONSerialization.jsonObject(with: Data(ScenarioFile.schemaText.utf8))
        func keys(_ object: Any?) throws -> [String: Any] {
            try #require((object as? [String: Any])?["properties"] as? [String: Any])
        }
        #expect(try Set(keys(value).keys) == Set(ScenarioFile.CodingKeys.allCases.map(\.stringValue)))
        let step = try keys(((value as? [String: Any])?["$defs"] as? [String: Any])?["step"])
        #expect(Set(step.keys) == Set(ScenarioStep.CodingKeys.allCases.map(\.stringValue)))
        let parts = (value as? [String: Any])?["$defs"] as? [String: Any]
        let tamper = try keys(parts?["tamper"])
        #expect(Set(tamper.keys) == Set(ScenarioTamper.CodingKeys.allCases.map(\.stringValue)))
        func names(_ key: String, of keys: [String: Any]) throws -> [String] {
            try #require((keys[key] as? [String: Any])?["enum"] as? [String])
        }
        #expect(try names("what", of: tamper) == ScenarioTamper.keys.keys.sorted())
        let next = try keys((keys(value)["next"] as? [String: Any])?["items"])
        #expect(Set(next.keys) == Set(ScenarioMachineChange.CodingKeys.allCases.map(\.stringValue)))
        #expect(try names("change", of: next) == ScenarioMachineChange.keys.keys.sorted())
        #expect(try names("jump", of: keys(value)) == ScenarioJump.allCases.map(\.rawValue))
        #expect(try names("defect", of: keys(value)) == EngineDefect.allCases.map(\.rawValue))
        let operations = try #require((step["do"] as? [String: Any])?["enum"] as? [String])
        #expect(operations.joined(separator: ", ") == ScenarioStep.operationNames)
        // A name that is listed is read: what is missing is an argument, not the operation.
        for name in operations {
            let text = "{\"do\": \"\(name)\"}"
            do { _ = try JSONDecoder().decode(ScenarioStep.self, from: Data(text.utf8)) } catch {
                #expect(!"\(error)".contains("unknown operation"), "\(name)")
            }
        }
    }

    /// The first scenario with `old` replaced by `new`, which must be refused.
    func refusal(_ old: String, _ new: String) throws -> String? {
        let text = String(decoding: try Self.bytes("ordinary.json"), as: UTF8.self)
        try #require(text.contains(old))
        do throws(ScenarioError) {
            _ = try ScenarioFile.read(Array(text.replacing(old, with: new).utf8), file: "x.json")
            return nil
        } catch {
            return error.description
        }
    }

    @Test(
        "What is wrong is named with its place",
        arguments: [
            ("\"seed\"", "\"sed\"", "unknown key \"sed\""),
            ("\"schema\": 0", "\"schema\": 1", "schema 1 found, 0 is what this version reads"),
            ("\"EEXIST\"", "\"EEXISTS\"", "an error symbol"),
            ("\"do\": \"mark\"", "\"do\": \"marke\"", "unknown operation \"marke\""),
            ("\"token\": 7", "\"token\": -7", "steps["),
            ("\"0x100008000\"", "\"0x10000800g\"", "expected a number"),
            ("\"do\": \"claim\"", "\"do\": \"claim\", \"token\": 3", "takes no \"token\""),
            ("\"0000:00:04.0\"", "\"0000:00:44.0\"", "a device as SSSS:BB:DD.F"),
            ("\"0x7fffffff\"", "\"0x7ffffffe\"", "whole 4 KiB pages"),
            ("\"steps\": [", "\"steps\": [,", "x.json"),
            ("\"table_pages\": 2048", "\"table_pages\": 0", "machine.table_pages: found 0; expected 1 to"),
            ("\"table_pages\": 2048", "\"table_pages\": 18446744073709551615", "machine.table_pages: found 1844"),
            ("\"bits\": 48", "\"bits\": -5", "found -5; expected 39, 47, 48, 56, 57 or 64"),
            ("\"verdict\": \"restored\"", "\"verdict\": \"restord\"", "expect.verdict: found \"restord\""),
            ("\"id\": 2", "\"id\": 1", "machine.memory_files[1].id: found 1 twice"),
            ("\"do\": \"mark\",\n      \"hwpt\": 1", "\"do\": \"mark\",\n      \"hwpt\": 2", "found hwpt 2, which no"),
            (
                "\"do\": \"claim\",\n      \"device\": \"0000:00:04.0\"",
                "\"do\": \"claim\",\n      \"device\": \"0000:00:05.0\"", "expected a device of the machine"
            ),
            (
                "\"steps\": [", "\"steps\": [{\"do\": \"write\", \"file\": 9, \"offset\": 0, \"value\": 1},",
                "steps[0]: found file 9; expected one of the machine's memory files"
            ),
            (
                "\"steps\": [",
                "\"steps\": [{\"do\": \"create-nested-hwpt\", \"hwpt\": 9, \"parent\": 8, \"unit\": 1, \"root\": 0},",
                "steps[0]: found hwpt 8, which no step before makes"
            ),
            ("\"quarantined\": []", "\"quarantined\": [\"0000:00:05.0\"]", "expect: found 0000:00:05.0"),
            (
                "\"steps\": [",
                "\"tamper\": [{\"what\": \"area\", \"ioas\": 1, \"iova\": 0, \"offset\": 0, \"flip\": 1}], \"steps\": [",
                "\"area\" takes no \"flip\""
            ),
        ])
    func refusals(old: String, new: String, expected: String) throws {
        let message = try #require(try refusal(old, new))
        #expect(message.contains(expected), "\(message)")
        #expect(!message.contains("\n"))
    }
}
