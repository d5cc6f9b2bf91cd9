import ArgumentParser
import Evidence
import Glibc
import Handover
import IOMMUModel
import Import
import Scenario
import Store

extension CrashPoint: ExpressibleByArgument {}

/// `handover`: the main job.
struct HandoverVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "handover",
        abstract: "Hand a machine's IOMMU domains over to the next engine, end to end.",
        usage: """
            domstore handover SCENARIO.json --store OUT [options]
            domstore handover --image IMAGE --meta FILE.json --store OUT [options]
            """,
        discussion: """
            Preserve, freeze, seal, jump, restore, audit, claim, adopt, rebuild, compare, replace, finish: on the \
            machine of a scenario, or on a memory image of a real one. Devices do DMA at every stage, and what they \
            reach is compared with what they reached before. The store is a directory; two generations are added to \
            it: the sealed one, and the open one of the engine after the jump.

            One line per phase, one per device, what the rules that refused a device promise, and the verdict. A \
            refused device is an answer, no error: exit code 1 says that a device was quarantined, that nothing could \
            be restored, or that a scenario did not come to what it expects.

            After --crash-at with --memory, 'restore OUT --memory FILE --record OUT' goes on.
            """)

    @Argument(
        help: ArgumentHelp(
            "A scenario file, instead of an image; 'scenario schema' prints its form.", valueName: "scenario"),
        completion: .file(extensions: ["json"]))
    var scenario: String?

    @Option(
        help: ArgumentHelp("A memory image: an ELF core.", valueName: "file"), completion: .file())
    var image: String?

    @Option(
        help: ArgumentHelp("The image's meta file: registers, topology.", valueName: "file"),
        completion: .file(extensions: ["json"]))
    var meta: String?

    @Option(
        help: ArgumentHelp("The directory of generations to add to; made when it is not there.", valueName: "out"),
        completion: .directory)
    var store: String

    @Option(
        help: ArgumentHelp(
            """
            Keep the machine's memory in this new file (an ELF core) from the start; beside it, with .json at the end, \
            its registers and topology.
            """,
            valueName: "file"), completion: .file())
    var memory: String?

    @Flag(help: "Replace a memory file, and its description, that are there already.")
    var force = false

    @Option(
        help: ArgumentHelp(
            "Areas that userspace declares: an independent witness of an image's tables.", valueName: "file"),
        completion: .file(extensions: ["csv"]))
    var areas: String?

    @Flag(help: "Carry every function: do not ask the guards for ATS, group and DMA owner.")
    var lab = false

    @OptionGroup var keys: KeyOptions

    @Option(help: ArgumentHelp("Die by SIGKILL at this point.", valueName: "point"))
    var crashAt: CrashPoint?

    @Flag(help: "One JSON object instead of lines.")
    var json = false

    @OptionGroup var colors: ColorOptions

    func validate() throws {
        guard (scenario == nil) == (image != nil), (image == nil) == (meta == nil) else {
            throw ValidationError("Give a scenario file, or --image with --meta.")
        }
        guard areas == nil || image != nil else { throw ValidationError("--areas goes with --image.") }
    }

    func run() throws {
        let key = try keys.read()
        let output = HandoverOutput(isJSON: json, color: colors.color)
        var options = HandoverRun.Options(store: store)
        options.memory = memory
        options.force = force
        options.lab = lab
        if let key { options.vouch = { try SealCode.write(of: $0, key: key) } }
        options.tell = { try output.phase($0) }
        options.tellStep = { try output.step($0) }
        options.auditing = Progress.counting("auditing", "domains")
        if let crashAt {
            options.crash = { point in
                if point == crashAt { kill(getpid(), SIGKILL) }
            }
        }
        let report = try run(options)
        try output.end(report)
        guard report.verdict == "restored", report.isSettled else { throw Failure.findings }
    }

    private func run(_ options: HandoverRun.Options) throws -> HandoverReport {
        do {
            guard let image, let meta else {
                let file = scenario ?? ""
                return try HandoverRun.run(
                    try ScenarioFile.read(try WholeFile.read(file), file: file), options: options)
            }
            let metadata = try ImageMetadata(file: meta)
            let rows = try areas.map { try AreaCSV.read(file: $0) }
            return try HandoverRun.run(
                try MachineImage(file: image, base: nil, metadata: metadata), areas: rows, options: options)
        } catch let error as ScenarioError {
            // Of an image run only the declared areas can contradict themselves.
            if let areas, case .inconsistent = error { throw Failure(error, about: areas) }
            throw Failure(error, about: scenario ?? image ?? store)
        } catch let error as StoreError {
            throw Failure(error, about: store)
        }
    }
}
