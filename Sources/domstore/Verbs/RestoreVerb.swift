import ArgumentParser
import Glibc
import Handover
import IOMMUModel
import Scenario
import Store
import Validate

/// `restore`: what the next kernel makes of a sealed generation.
struct RestoreVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Restore and audit a sealed generation; with --record, go on from what a crash left.",
        discussion: """
            Without --memory the state is built from the record alone: reconstructed, never more. With it, the nonce in \
            memory must be that of the seal. Nothing is written without --record.
            """)

    @OptionGroup var input: StoreArguments

    @Option(help: "The memory file that survived.", completion: .file())
    var memory: String?

    @Option(
        help: "What is beside the memory file. Default: its name with .json.", completion: .file(extensions: ["json"]))
    var meta: String?

    @Option(help: "Refuse any other seal than GEN:ROOT.")
    var expectSeal: ExpectedSeal?

    @Option(
        help:
            "Claim, adopt, rebuild, compare, replace and finish too; write memory and the next generation of this store.",
        completion: .directory)
    var record: String?

    @Option(help: "Die by SIGKILL at this point.")
    var crashAt: CrashPoint?

    @Flag(help: "One JSON object instead of lines.")
    var json = false

    @OptionGroup var colors: ColorOptions

    /// Mapped pages of one device that are asked by DMA at each stage; a longer mapping is sampled evenly.
    private static let pagesPerDevice: UInt64 = 4096

    func validate() throws {
        guard record == nil || memory != nil else { throw ValidationError("--record needs --memory.") }
        guard record.map({ Self.trimmed($0) == Self.trimmed(input.store) }) ?? true else {
            throw ValidationError("--record names the directory that is restored from, \(input.store).")
        }
        guard meta == nil || memory != nil else { throw ValidationError("--meta goes with --memory.") }
    }

    func run() throws {
        let output = HandoverOutput(isJSON: json, color: colors.color)
        var options = HandoverRun.Options(store: input.store)
        options.tell = { try output.phase($0) }
        options.pagesPerDevice = Self.pagesPerDevice
        if let crashAt {
            options.crash = { point in
                if point == crashAt { kill(getpid(), SIGKILL) }
            }
        }
        var request = HandoverRun.RestoreRequest(store: input.store)
        request.generation = input.generation
        request.memory = memory
        request.description = meta
        request.record = record != nil
        request.expected = expectSeal
        let report: HandoverReport
        do {
            report = try HandoverRun.restore(request, options: options)
        } catch let error as ScenarioError {
            throw Failure(error, about: memory ?? input.store)
        } catch let error as StoreError {
            let failure = Failure(error, about: input.unreadable(error) ?? input.store)
            // Bytes that cannot be trusted are a verdict, too: devices may still write into the memory they speak of.
            if error.isDamage {
                try output.end(HandoverReport(stoppedBy: error, reason: json ? failure.message : nil))
            }
            throw failure
        }
        try output.end(report)
        // A reconstruction can have findings, too.
        let isGood = RestoreVerdict(rawValue: report.verdict)?.isSuccess == true && report.verdictRule == nil
        guard isGood else { throw Failure.findings }
    }

    /// `path` without slashes at its end.
    private static func trimmed(_ path: String) -> Substring {
        var path = path[...]
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }
}

extension HandoverReport {
    /// The verdict on a generation that cannot be read.
    fileprivate init(stoppedBy error: StoreError, reason: String?) {
        self.init()
        verdict = RestoreVerdict.stop.rawValue
        verdictRule = error.brokenRule
        verdictReason = reason ?? ""
    }
}

extension StoreError {
    /// True when the bytes of a generation are not what they must be; false for a wrong path, or a failure of the system.
    fileprivate var isDamage: Bool {
        switch self {
        case .notOurs, .tooNew, .tooOld, .unknownFeature, .headerDamaged, .schemaDiffers, .journalDamaged,
            .recordDamaged:
            true
        default: false
        }
    }
}
