import Foundation
import Testing

/// The next kernel finds another machine than the one that was sealed: another unit, other groups, less devices.
///
/// Only what the memory file's description says differs; the memory is the one that survived.
@Suite struct ChangedMachineTests {
    /// A change of the description: what it does, and what becomes of the two preserved devices.
    struct Change: Sendable, CustomTestStringConvertible {
        var name: String
        var edit: @Sendable (inout [String: Any]) -> Void
        var outcome: [String]
        var reason: String
        var testDescription: String { name }

        init(
            _ name: String, _ outcome: String..., reason: String,
            edit: @escaping @Sendable (inout [String: Any]) -> Void
        ) {
            self.name = name
            self.edit = edit
            self.outcome = outcome.count == 2 ? outcome : [outcome[0], outcome[0]]
            self.reason = reason
        }
    }

    private static func unit(_ machine: inout [String: Any], _ edit: (inout [String: Any]) -> Void) {
        var units = machine["units"] as? [[String: Any]] ?? []
        edit(&units[0])
        machine["units"] = units
    }

    private static func register(_ machine: inout [String: Any], _ name: String, _ value: String) {
        unit(&machine) {
            var registers = $0["registers"] as? [String: String] ?? [:]
            registers[name] = value
            $0["registers"] = registers
        }
    }

    static let changes: [Change] = [
        Change(
            "a unit with other capabilities", "quarantined EINVAL unit-register-differs",
            reason: "cap of unit 1 is 0x0000000c00380602, recorded is 0x0000000c00380e06"
        ) { register(&$0, "cap", "0xc00380602") },
        Change(
            "a unit with another root register", "quarantined EINVAL unit-register-differs",
            reason: "rtaddr of unit 1 is 0x0000000000005000"
        ) { register(&$0, "rtaddr", "0x5000") },
        Change(
            "a unit that does not translate", "quarantined EINVAL vtd-translation-mode",
            reason: "unit 1 cannot be taken over"
        ) { register(&$0, "gsts", "0x0") },
        Change(
            "a unit with narrower host addresses", "quarantined EINVAL unit-register-differs",
            reason: "a host address width of 30 bits"
        ) { unit(&$0) { $0["host_address_width"] = 30 } },
        Change(
            "a unit elsewhere", "quarantined ENODEV unit-missing", reason: "no unit 1 at 0x00000000fed90000"
        ) { unit(&$0) { $0["register_base"] = "0xfed98000" } },
        Change(
            "one group of two that were apart", "quarantined EOPNOTSUPP preserve-singleton-group",
            reason: "its group has 0000:00:06.0 now"
        ) {
            var devices = $0["devices"] as? [[String: Any]] ?? []
            devices[1]["group"] = devices[0]["group"]
            $0["devices"] = devices
        },
        Change(
            "a device that is gone", "quarantined ENODEV device-missing", "replaced - -",
            reason: "the machine has no such device"
        ) { $0["devices"] = ($0["devices"] as? [[String: Any]])?.dropFirst().map { $0 } },
    ]

    private static let sealed = Result<ScratchFolder, any Error> {
        let folder = try ScratchFolder()
        let run = try Binary.run([
            "handover", Fixtures.scenarios + "two-devices.json", "--store", folder["store"],
            "--memory", folder["memory.elf"], "--crash-at", "after-seal",
        ])
        guard run.status == 128 + SIGKILL else { throw Binary.Problem(call: "handover: \(run.errors)") }
        return folder
    }

    @Test(arguments: changes)
    func `what is not the recorded machine's is quarantined, and the restore goes on to its end`(
        change: Change
    ) throws {
        let folder = try ScratchFolder()
        for name in try Self.sealed.get().names {
            try FileManager.default.copyItem(atPath: Self.sealed.get()[name], toPath: folder[name])
        }
        var text = try #require(
            try JSONSerialization.jsonObject(with: Data(folder.bytes(of: "memory.json"))) as? [String: Any])
        var machine = try #require(text["machine"] as? [String: Any])
        change.edit(&machine)
        text["machine"] = machine
        try folder.write(JSONSerialization.data(withJSONObject: text), to: "memory.json")
        let run = try Binary.run([
            "restore", folder["store"], "--memory", folder["memory.elf"], "--record", folder["store"], "--json",
        ])
        #expect(run.status == 1)
        #expect(run.errors == "")
        let report = try HandoverReportText(run.output)
        #expect(report.devices == ["0000:00:04.0": change.outcome[0], "0000:00:06.0": change.outcome[1]])
        #expect(report.verdict == "degraded")
        #expect(report.phases.last?.name == "finish")
        #expect(run.output.contains(change.reason), "\(run.output)")
    }

    @Test func `a device that may not be switched stays on its inherited tables, and the others are replaced`() throws {
        let folder = try ScratchFolder()
        let meta = try String(contentsOfFile: Fixtures.images + "vtd48.json", encoding: .utf8)
        // The group of 01:00.0 reserves what its tables map.
        let line = try #require(meta.firstMatch(of: /group 11 type=DMA-FQ resv=/)).0
        try folder.write(
            meta.replacingOccurrences(of: line, with: line + "0x0000000000200000,0x00000000003fffff,reserved;").utf8,
            to: "meta.json")
        let run = try Binary.run([
            "handover", "--image", Fixtures.images + "vtd48.elf", "--meta", folder["meta.json"],
            "--store", folder["store"], "--json",
        ])
        #expect(run.status == 1)
        #expect(run.errors == "")
        let report = try HandoverReportText(run.output)
        #expect(report.devices["0000:01:00.0"] == "restored EADDRINUSE area-reserved")
        #expect(report.devices.values.count { $0 == "replaced - -" } == 5)
        #expect(report.phases.last?.notes.first?.contains("not finished") == true)
    }
}
