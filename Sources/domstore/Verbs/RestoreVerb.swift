import ArgumentParser
import Glibc
import Handover
import IOMMUModel
import Scenario
import Store

/// `restore`: what the next kernel makes of a sealed generation.
struct RestoreVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Restore and audit a sealed generation; with --record, go on from what a crash left.",
        discussion: """
            Without --memory the state is built from the record alone: reconstructed, never more. With it, the nonce in \
            memory must be that of the seal. Nothing is written without --record.
            """)

    @Argument(help: "A generation file, or a directory of them.", completion: .file())
    var store: String

    @Option(help: "The generation to restore. Default: the newest sealed one that is not revoked.")
    var generation: UInt64?

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
        guard record == nil || record == store else {
            throw ValidationError("--record names the directory that is restored from.")
        }
        guard meta == nil || memory != nil else { throw ValidationError("--meta goes with --memory.") }
    }

    func run() throws {
        let output = HandoverOutput(isJSON: json, color: colors.color)
        var options = HandoverRun.Options(store: store)
        options.tell = { try output.phase($0) }
        options.pagesPerDevice = Self.pagesPerDevice
        if let crashAt {
            options.crash = { point in
                if point == crashAt { kill(getpid(), SIGKILL) }
            }
        }
        var request = HandoverRun.RestoreRequest(store: store)
        request.generation = generation
        request.memory = memory
        request.description = meta
        request.record = record != nil
        request.expected = expectSeal
        let report = try Failure.mapping { try HandoverRun.restore(request, options: options) }
        try output.end(report)
        guard report.verdict == "restored" || report.verdict == "reconstructed" else { throw Failure.findings }
    }
}
