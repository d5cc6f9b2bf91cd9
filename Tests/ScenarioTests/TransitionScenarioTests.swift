import Engine
import Handover
import IOMMUModel
import Restore
import Store
import Testing
import Validate

@testable import Scenario

/// The rows and guards of the transition table that need a sealed record, each in the scenario that shows it; EngineTests
/// has the others.
@Suite("Transitions of the record")
struct TransitionScenarioTests {
    /// Where a guard is answered.
    enum Place {
        /// By the verdict.
        case verdict
        /// By the device's line.
        case device(String)
        /// By the step of this name.
        case step(String)
    }

    static let guards: [DomainTransition: [String: (file: String, place: Place)]] = [
        .stage: [
            "a feature that is not known": ("41-older-engine", .verdict),
            "the unit is not there": ("39-unit-elsewhere", .device("0000:00:04.0")),
            "the unit is set up otherwise": ("39-unit-differs", .device("0000:00:04.0")),
            "one cache tag for two domains": ("37-one-tag-two-domains", .device("0000:00:06.0")),
        ],
        .coldBoot: [
            "nothing is sealed": ("01-crash-before-seal", .verdict),
            "the seal is revoked": ("02-jump-fails", .verdict),
            "memory has no nonce": ("02-power-loss", .verdict),
        ],
        .restore: [
            "the device is not there": ("38-device-gone", .device("0000:00:04.0")),
            "its lookup entry is another": ("28-retrieve-fails-again", .device("0000:00:04.0")),
            "a PASID is in no record": ("34-pasid-not-recorded", .device("0000:00:09.0")),
            "its PASIDs are narrower": ("35-narrower-pasids", .device("0000:00:09.0")),
            "its group has grown": ("21-hot-added-sibling", .device("0000:00:04.0")),
        ],
        .verify: ["the trees differ": ("42-trees-differ", .step("compare"))],
    ]

    /// Shown by a test of its own, below.
    static let foreignNonce = "the nonce is another's"

    @Test("Every guard outside the engine answers with its errno", arguments: DomainTransition.allCases)
    func guards(row: DomainTransition) throws {
        let wanted = row.guards.filter { $0.isOutsideEngine && $0.what != Self.foreignNonce }
        let cases = Self.guards[row, default: [:]]
        #expect(Set(cases.keys) == Set(wanted.map(\.what)), "\(row.rawValue)")
        for one in wanted {
            let (file, place) = try #require(cases[one.what])
            let report = try ScenarioRunTests.run("\(file).json")
            let found: Errno?
            switch place {
            case .verdict: found = RestoreVerdict(rawValue: report.verdict)?.errno
            case .device(let name): found = report.devices.first { $0.requester == RequesterID(name) }?.errno
            case .step(let name): found = report.steps.first { $0.name == name }?.errno
            }
            #expect(found == one.errno, "\(row.rawValue): \(one.what)")
        }
    }

    @Test("Memory of another handover is not believed")
    func foreignNonce() throws {
        let wanted = try #require(DomainTransition.stage.guards.first { $0.what == Self.foreignNonce })
        try ScenarioRunTests.inFolder { folder in
            let scenario = try ScenarioFile.read(ScenarioFileTests.bytes("02-power-loss.json"), file: "x")
            _ = try HandoverRun.run(scenario, options: ScenarioRunTests.options(folder))
            let other = try #require(HandoverNonce(bytes: [UInt8](repeating: 7, count: 16)))
            do throws(RestoreRefusal) {
                _ = try ManifestChecked.check(path: "\(folder)/1.domstore", memory: .present(other))
                Issue.record("believed")
            } catch {
                #expect(error.verdict.errno == wanted.errno && error.rule == .nonceDiffers)
            }
        }
    }

    @Test("A record is sealed, staged, found to be nothing, or stops the machine")
    func rows() throws {
        let phases = try ScenarioRunTests.run("two-devices.json").phases.map(\.phase)
        // Commit (H3 to H4), the jump (H4 to H5), the start (H5 to H6 and H7).
        let wanted: [HandoverPhase] = [.freeze, .seal, .jump, .restore, .audit]
        #expect(phases.filter(wanted.contains) == wanted)
        let fatal = try ScenarioRunTests.run("41-older-engine.json")
        #expect(fatal.verdict == RestoreVerdict.stop.rawValue && !fatal.phases.map(\.phase).contains(.restore))
        let aborted = try ScenarioRunTests.run("41-quarantine-all.json")
        #expect(aborted.verdict == RestoreVerdict.quarantined.rawValue)
        for file in ["01-crash-before-seal", "02-jump-fails", "02-power-loss"] {
            let report = try ScenarioRunTests.run("\(file).json")
            #expect(report.verdict == RestoreVerdict.coldBoot.rawValue, "\(file)")
        }
    }
}
