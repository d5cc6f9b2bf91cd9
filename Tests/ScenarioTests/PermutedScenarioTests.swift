import Foundation
import Handover
import IOMMUModel
import Store
import Testing
import Validate

@testable import Scenario

/// Nothing but what happened decides a verdict: not names, not numbers, not places.
@Suite("Scenarios without their identity")
struct PermutedScenarioTests {
    /// The failures of the field.
    static let files = ScenarioFileTests.files.filter { $0.first?.isNumber == true }

    /// What a run came to, without any name or place.
    struct Outcome: Hashable, CustomStringConvertible {
        var verdict: String
        var rule: String?
        /// How often each answer was given to a device.
        var devices: [String: Int] = [:]
        var steps: [String?]
        /// The errors that `check` finds in what was sealed; `nil` when nothing can be read.
        var findings: Set<String>?
        var description: String { "\(verdict) \(rule ?? "-") \(devices.sorted { $0.key < $1.key }) \(findings ?? [])" }
    }

    static func outcome(_ bytes: [UInt8]) throws -> Outcome {
        let scenario = try ScenarioFile.read(bytes, file: "x.json")
        return try ScenarioRunTests.inFolder { folder in
            let report = try HandoverRun.run(scenario, options: ScenarioRunTests.options(folder))
            var outcome = Outcome(
                verdict: report.verdict, rule: report.verdictRule?.rawValue, steps: report.steps.map(\.errno?.name))
            for device in report.devices {
                let answer = "\(device.state.rawValue) \(device.errno?.name ?? "-") \(device.rule?.rawValue ?? "-")"
                outcome.devices[answer, default: 0] += 1
            }
            if let snapshot = try? GenerationReader(path: "\(folder)/1.domstore").snapshot() {
                let errors = try Checker().check(snapshot).filter { $0.severity == .error }
                outcome.findings = Set(errors.map(\.rule.rawValue))
            }
            return outcome
        }
    }

    @Test("Other names, numbers, addresses and seeds: the same verdict, answers and findings", arguments: files)
    func permuted(file: String) throws {
        let bytes = try ScenarioFileTests.bytes(file)
        let first = try Self.outcome(bytes)
        for seed in [UInt64(7), 0xfeed_face] {
            let other = try Permutation(file, seed: seed).apply(bytes)
            #expect(other != bytes)
            #expect(try Self.outcome(other) == first, "\(file)")
        }
    }

    /// Another machine on which the same happens.
    struct Permutation {
        let seed: UInt64
        /// Where memory files lie, and with them the end of RAM, where tables are.
        let shift: UInt64
        let iovaShift: UInt64
        let bus: UInt8
        let ids: Int

        init(_ file: String, seed: UInt64) {
            self.seed = seed
            // Two flip bits between addresses of tables, which are where they are.
            let isFixed = file.hasPrefix("10-") || file.hasPrefix("11-")
            shift = isFixed ? 0 : (1 + seed % 3) << 28
            // Reserved regions, and what passes through, are where they are.
            iovaShift = file.hasPrefix("53-") || file.hasPrefix("12-") ? 0 : (1 + seed % 5) << 30
            bus = UInt8(0x20 + seed % 0x40)
            ids = Int(10 + seed % 1000)
        }

        func apply(_ bytes: [UInt8]) throws -> [UInt8] {
            var value = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
            value["name"] = "x"
            value["about"] = nil
            value["seed"] = seed
            var machine = try #require(value["machine"] as? [String: Any])
            var ram = try #require(machine["ram"] as? [[String]])
            let files = (machine["memory_files"] as? [[String: Any]] ?? []).compactMap { file -> ClosedRange<UInt64>? in
                guard let base = Self.number(file["base"]), let count = Self.number(file["bytes"]), count > 0 else {
                    return nil
                }
                return base...base + count - 1
            }
            ram[ram.count - 1][1] = hex(parseInteger(ram[ram.count - 1][1])! + shift)
            machine["ram"] = ram
            value["machine"] = machine
            let other = walk(value, in: "", files, isAfter: false)
            return Array(try JSONSerialization.data(withJSONObject: other, options: [.sortedKeys]))
        }

        private static func number(_ value: Any?) -> UInt64? {
            (value as? String).flatMap { parseInteger($0) } ?? (value as? NSNumber)?.uint64Value
        }

        private func walk(_ value: Any, in key: String, _ files: [ClosedRange<UInt64>], isAfter: Bool) -> Any {
            if let object = value as? [String: Any] {
                let pairs = object.map { name, part in
                    // Units keep their numbers: devices that name none are behind the first.
                    let place = key == "ram" || (key == "units" && name == "id") ? "" : name
                    return (name, walk(part, in: place, files, isAfter: isAfter || name == "after"))
                }
                return Dictionary(uniqueKeysWithValues: pairs)
            }
            if let list = value as? [Any] { return list.map { walk($0, in: key, files, isAfter: isAfter) } }
            if let text = value as? String, let device = RequesterID(text),
                ["device", "of", "to", "preserved", "quarantined"].contains(key)
            {
                return RequesterID(segment: device.segment, rid: device.rid &+ UInt16(bus) << 8).description
            }
            switch key {
            // Those that came over are numbered by their order.
            case "session" where isAfter: return value
            case "ioas", "hwpt", "file", "session", "group", "parent", "id":
                return Self.number(value).map { Int($0) + ids } ?? value
            case "token": return Self.number(value).map { $0 ^ seed } ?? value
            case "base", "address":
                guard let number = Self.number(value), files.contains(where: { $0.contains(number) }) else {
                    return value
                }
                return hex(number + shift)
            case "iova": return Self.number(value).map { hex($0 + iovaShift) } ?? value
            default: return value
            }
        }
    }
}
