import Engine
import FoundationEssentials
import IOMMUModel
import Import

/// A scenario: a machine, steps with what they must answer, and the verdict that the handover must come to.
///
/// The JSON form is schema version 0 (`domstore scenario schema`). Addresses are hex strings; unknown keys are refused,
/// since a misspelt expectation would otherwise pass for ever.
public struct ScenarioFile: Sendable, Decodable {
    /// The schema version that this code reads.
    static let supportedSchema = 0

    /// The JSON Schema of such files.
    public static var schemaText: String { String(decoding: PackageResources.scenario_schema_json, as: UTF8.self) }

    var schema: Int
    /// What the described machine is called, and what `scenario check` prints.
    public var name: String
    var about: String?
    /// Seed of the engine's random state (nonce, choices); the same seed gives the same bytes.
    var seed: UInt64
    var machine: ScenarioMachine
    var steps: [ScenarioStep]
    /// What userspace does after the jump, in the place of claiming, rebuilding and replacing all; `nil`: that.
    var after: [ScenarioStep]?
    /// Changes of the running machine after its steps, before anything is recorded: the record agrees with them.
    var damage: [ScenarioTamper]
    /// A bug that both engines have.
    var defect: EngineDefect?
    /// How the old kernel ends.
    var jump: ScenarioJump
    /// Changes between seal and restore.
    var tamper: [ScenarioTamper]
    /// What is another machine's when the next kernel starts.
    var next: [ScenarioMachineChange]
    /// What the next kernel does about a damaged record.
    var policy: HandoverRun.Policy
    /// A second update follows, of what is left when userspace has done its steps.
    var again: Bool
    var expect: ScenarioExpectation?

    /// The number of its steps.
    public var stepCount: Int { steps.count + (after?.count ?? 0) }

    enum CodingKeys: String, CodingKey, CaseIterable {
        case schema, name, about, seed, machine, steps, damage, defect, jump, tamper, next, policy, after, again, expect
    }

    /// Decodes the JSON form. Unknown keys, values out of their range and another schema version throw `DecodingError`.
    public init(from decoder: any Decoder) throws {
        let box = try decoder.strictContainer(CodingKeys.self)
        schema = try box.decode(Int.self, forKey: .schema)
        guard schema == Self.supportedSchema else {
            throw DecodingError.dataCorruptedError(
                forKey: .schema, in: box,
                debugDescription: "schema \(schema) found, \(Self.supportedSchema) is what this version reads")
        }
        name = try box.decode(String.self, forKey: .name)
        about = try box.decodeIfPresent(String.self, forKey: .about)
        seed = try box.decodeIfPresent(UInt64.self, forKey: .seed) ?? 1
        machine = try box.decode(ScenarioMachine.self, forKey: .machine)
        steps = try box.decode([ScenarioStep].self, forKey: .steps)
        after = try box.decodeIfPresent([ScenarioStep].self, forKey: .after)
        damage = try box.decodeIfPresent([ScenarioTamper].self, forKey: .damage) ?? []
        defect = try box.decodeIfPresent(DefectText.self, forKey: .defect)?.value
        jump = try box.decodeIfPresent(JumpText.self, forKey: .jump)?.value ?? .kexec
        tamper = try box.decodeIfPresent([ScenarioTamper].self, forKey: .tamper) ?? []
        next = try box.decodeIfPresent([ScenarioMachineChange].self, forKey: .next) ?? []
        policy = try box.decodeIfPresent(PolicyText.self, forKey: .policy)?.value ?? .stop
        again = try box.decodeIfPresent(Bool.self, forKey: .again) ?? false
        expect = try box.decodeIfPresent(ScenarioExpectation.self, forKey: .expect)
    }

    /// Reads a scenario from JSON text.
    ///
    /// - Throws: ``ScenarioError`` naming the place in the file.
    public static func read(_ bytes: [UInt8], file: String) throws(ScenarioError) -> ScenarioFile {
        let scenario: ScenarioFile
        do {
            scenario = try JSONDecoder().decode(ScenarioFile.self, from: Data(bytes))
        } catch let error as DecodingError {
            let problem = JSONProblem(error, in: bytes)
            throw .unreadable(file: file, place: problem.place, what: problem.sentence)
        } catch {
            throw .unreadable(file: file, place: "", what: "\(error)")
        }
        if let problem = scenario.contradiction() {
            throw .unreadable(file: file, place: problem.place, what: problem.what)
        }
        return scenario
    }
}

/// What a scenario's handover must come to.
struct ScenarioExpectation: Sendable, Decodable {
    var verdict: String?
    var rule: RuleID?
    /// What the verdict's reason must contain.
    var reason: String?
    var preserved: [RequesterID]?
    var refused: [Refusal]?
    var quarantined: [RequesterID]?

    /// A device that the preserve refuses, with the answer.
    struct Refusal: Sendable, Decodable {
        var device: RequesterID
        var errno: Errno
        enum CodingKeys: String, CodingKey, CaseIterable { case device, errno }
        init(from decoder: any Decoder) throws {
            let box = try decoder.strictContainer(CodingKeys.self)
            device = try box.decode(RequesterText.self, forKey: .device).value
            errno = try box.decode(ErrnoText.self, forKey: .errno).value
        }
    }

    enum CodingKeys: String, CodingKey, CaseIterable { case verdict, rule, reason, preserved, refused, quarantined }

    init(from decoder: any Decoder) throws {
        let box = try decoder.strictContainer(CodingKeys.self)
        verdict = try box.decodeIfPresent(VerdictText.self, forKey: .verdict)?.value
        rule = try box.decodeIfPresent(RuleText.self, forKey: .rule)?.value
        reason = try box.decodeIfPresent(String.self, forKey: .reason)
        preserved = try box.decodeIfPresent([RequesterText].self, forKey: .preserved)?.map(\.value)
        refused = try box.decodeIfPresent([Refusal].self, forKey: .refused)
        quarantined = try box.decodeIfPresent([RequesterText].self, forKey: .quarantined)?.map(\.value)
    }
}
