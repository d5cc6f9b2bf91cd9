import ArgumentParser
import Evidence
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
            Starts from the newest generation whose seal counts, or from generation N. Without --memory the state is \
            built from the record alone: 'reconstructed', never more. With it, the nonce in memory must be that of the \
            seal. Nothing is written without --record; with it, the memory file is, and the next generation of the \
            directory, whose parent is the one it starts from.

            Of a generation of which anything is damaged nothing is restored: stop. With --policy quarantine, where only \
            rows of table pages, areas or events are damaged and none is missing, the devices that depend on one are \
            quarantined and named, and the others restored.

            With --policy quarantine-all, where the verdict would be stop, every unit of the machine is made to abort all \
            DMA, by its registers or in the table at its root register: nothing is restored, and no device can write into \
            memory that is allocated anew. Where one unit cannot, or a device must not be blocked, it stays a stop. With \
            --record the memory file and the registers beside it are written, no generation.

            With --key, the code beside the generation (FILE.hmac) must vouch for it, else: stop.

            Verdicts: restored, degraded (a device was quarantined), reconstructed, cold-boot (nothing was handed \
            over, or the memory is gone), stop (the record cannot be trusted), quarantined (the same, and all DMA is \
            aborted). Exit code 0 for restored and \
            reconstructed without findings, 2 when the file cannot be read as a generation, else 1.
            """)

    @OptionGroup var input: StoreArguments

    @Option(
        help: ArgumentHelp("The memory file that survived.", valueName: "file"), completion: .file())
    var memory: String?

    @Option(
        help: ArgumentHelp(
            "What is beside the memory file. Default: its name with .json at the end.", valueName: "file"),
        completion: .file(extensions: ["json"]))
    var meta: String?

    @Option(
        help: ArgumentHelp("Refuse any other seal than this one, as 'handover' prints it.", valueName: "gen:root"))
    var expectSeal: ExpectedSeal?

    @Option(
        help: ArgumentHelp(
            "What becomes of a damaged generation: stop, quarantine or quarantine-all.", valueName: "policy"))
    var policy = HandoverRun.Policy.stop

    @Option(
        help: ArgumentHelp(
            """
            Claim, adopt, rebuild, compare, replace and finish too, and write the next generation of this directory, \
            the one restored from.
            """,
            valueName: "dir"),
        completion: .directory)
    var record: String?

    @OptionGroup var keys: KeyOptions

    @Flag(help: "Write nothing. This is so without --record; say it to be sure.")
    var dryRun = false

    @Option(help: ArgumentHelp("Die by SIGKILL at this point.", valueName: "point"))
    var crashAt: CrashPoint?

    @Flag(help: "One JSON object instead of lines.")
    var json = false

    @OptionGroup var colors: ColorOptions

    /// Mapped pages of one device that are asked by DMA at each stage; a longer mapping is sampled evenly.
    private static let pagesPerDevice: UInt64 = 4096

    func validate() throws {
        guard record == nil || !dryRun else { throw ValidationError("--dry-run and --record exclude each other.") }
        guard record == nil || memory != nil else {
            throw ValidationError("--record needs --memory: only domains whose memory survived can be taken over.")
        }
        guard record.map({ Self.trimmed($0) == Self.trimmed(input.store) }) ?? true else {
            throw ValidationError("--record names the directory that is restored from, \(input.store).")
        }
        guard policy != .quarantineAll || memory != nil else {
            throw ValidationError("--policy quarantine-all needs --memory: the units are the surviving machine's.")
        }
        guard meta == nil || memory != nil else { throw ValidationError("--meta goes with --memory.") }
    }

    func run() throws {
        let key = try keys.read()
        let output = HandoverOutput(isJSON: json, color: colors.color)
        var options = HandoverRun.Options(store: input.store)
        options.tell = { try output.phase($0) }
        options.auditing = Progress.counting("auditing", "domains")
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
        request.policy = policy
        request.found = { if let note = $0.journal.note { Talk.say("\($0.path): \(note)") } }
        if let key { request.authenticate = { try SealCode.verify($0, key: key) } }
        var report: HandoverReport
        var failure: Failure?
        do {
            // Bytes that cannot be trusted are a verdict, too: devices may still write into the memory they speak of.
            do {
                report = try HandoverRun.restore(request, options: options)
            } catch let error as SealCodeError where error.isRefusal {
                failure = Failure(error)
                report = HandoverReport(stoppedBy: nil, reason: json ? error.description : nil)
            } catch let error as StoreError where error.isDamage {
                let told = Failure(error, about: input.unreadable(error) ?? input.store)
                failure = told
                report = HandoverReport(stoppedBy: error, reason: json ? told.message : nil)
            }
            if policy == .quarantineAll {
                report = try HandoverRun.quarantineAll(request, after: report, options: options)
            }
        } catch let error as ScenarioError {
            throw Failure(error, about: memory ?? input.store)
        } catch let error as SealCodeError {
            throw Failure(error)
        } catch let error as StoreError {
            throw Failure(error, about: input.unreadable(error) ?? input.store)
        }
        try output.end(report)
        if let failure { throw failure }
        // A reconstruction can have findings, too.
        let isGood =
            RestoreVerdict(rawValue: report.verdict)?.isSuccess == true && report.verdictRule == nil
            && report.isSettled
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
    fileprivate init(stoppedBy error: StoreError?, reason: String?) {
        self.init()
        verdict = RestoreVerdict.stop.rawValue
        verdictRule = error?.brokenRule
        verdictReason = reason ?? ""
    }
}

extension StoreError {
    /// True when the bytes of a generation are not what they must be; false for a wrong path or a failing system.
    fileprivate var isDamage: Bool {
        switch self {
        case .notOurs, .tooNew, .tooOld, .unknownFeature, .headerDamaged, .schemaDiffers, .journalDamaged,
            .recordDamaged:
            true
        default: false
        }
    }
}

extension HandoverRun.Policy: ExpressibleByArgument {}
