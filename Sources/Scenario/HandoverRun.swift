import Engine
import Glibc
import Handover
import IOMMUModel
import Restore
import Snapshot
import Store
import Validate

/// One whole handover on one machine, across the simulated jump: preserve, freeze, seal, jump, restore, audit, claim,
/// adopt, rebuild, compare, replace, finish, with every device's DMA asked at every stage.
public struct HandoverRun {
    /// What the caller chooses.
    public struct Options {
        /// A directory of generations; created when it is not there.
        public var store: String
        /// Where the machine's memory lives as a shared file; `nil`: in this process only.
        public var memory: String?
        /// Replace a memory file, and its description, that are there already.
        public var force = false
        /// Skip the guards that a laboratory does not need (ATS, group, owner).
        public var lab = false
        /// More mapped pages than this of one device are not all asked by DMA, but sampled.
        public var pagesPerDevice: UInt64 = 1 << 19
        /// Called at every crash point.
        public var crash: CrashHook = { _ in }
        /// Makes what vouches for the sealed file at a path. Before the nonce goes into memory: a seal for which this
        /// failed, or was not reached, has handed nothing over.
        public var vouch: (String) throws -> Void = { _ in }
        /// Called as each phase ends.
        public var tell: (HandoverReport.Phase) throws -> Void = { _ in }
        /// Called as each step of a scenario ends.
        public var tellStep: (HandoverReport.Step) throws -> Void = { _ in }
        /// Told how many of how many domains are audited, 0 first, one call at a time, on any thread.
        public var auditing: (_ done: Int, _ count: Int) -> Void = { _, _ in }
        /// Nothing but the store: all else by default.
        public init(store: String) { self.store = store }
    }

    var options: Options
    var report = HandoverReport()

    init(_ options: Options) { self.options = options }

    /// A running machine that is about to be handed over.
    struct Ready: ~Copyable {
        var engine: LiveEngine
        let session: SessionID
        let buffer: EventBuffer
        var writer: RecordingWriter
        var declared: DeclaredAreas?
        /// What is not as in every handover.
        var script: Script?
    }

    /// What a scenario has otherwise than every handover.
    struct Script {
        let machine: ScenarioMachine
        /// What userspace does after the jump, when it is not the usual.
        var after: [ScenarioStep]?
        var jump = ScenarioJump.kexec
        var tamper: Tamper?
        var next: [ScenarioMachineChange] = []
        var defect: EngineDefect?
        var again = false
        /// Where nothing can be restored, every unit aborts all DMA.
        var quarantinesAll = false
    }

    /// A change between seal and restore, for scenarios.
    typealias Tamper = (_ machine: Machine, _ path: String, _ receipt: SealReceipt) throws -> Void

    /// Hands `ready` over and takes it up again.
    mutating func handOver(_ ready: consuming Ready) throws -> HandoverReport {
        var engine = ready.engine
        let session = ready.session
        let declared = ready.declared
        let script = ready.script
        let buffer = ready.buffer
        var writer = ready.writer
        let machine = engine.machine
        let witness = DMAWitness(machine, pagesPerDevice: options.pagesPerDevice)
        let everyone = Set(witness.devices.map(\.requester))
        _ = try witness.check(machine, translating: everyone, in: .start)

        var clock = Clock()
        var carried: Set<RequesterID> = []
        var tagged = 0
        for device in engine.devices {
            let keys = engine.attachmentKeys(of: device.requester)
            do throws(Refusal) {
                // A step may have done it, in a session of its own.
                if engine.attachment(device.requester, pasid: nil)?.state != .preserved {
                    try engine.preserve(device.requester, in: session, options: PreserveOptions(lab: options.lab))
                }
                carried.insert(device.requester)
                tagged += keys.count - 1
                report.devices += keys.map { .init(requester: $0.requester, pasid: $0.pasid, state: .preserved) }
            } catch {
                report.devices += keys.map {
                    .init(
                        requester: $0.requester, pasid: $0.pasid, state: .refused, errno: error.errno,
                        rule: error.rule, reason: error.rule.map { Rule.of($0).promise } ?? "")
                }
            }
        }
        try writer.append(buffer.take())
        let assumed = engine.groups.contains { $0.ownerAssumed }
        try tell(
            .preserve, &clock,
            [.init("preserved", carried.count), .init("refused", engine.devices.count - carried.count)]
                + (tagged > 0 ? [.init("PASIDs", tagged)] : []),
            notes: (declared.map { [$0.note(carried: carried)] } ?? [])
                + (assumed ? ["DMA owner assumed from the driver's name (vfio-pci)"] : [])
                + (options.lab ? ["lab: the guards for ATS, group and owner were not asked"] : [])
        ) { try witness.check(machine, translating: everyone, in: .preserve) }

        // Pre-copy: what a freeze would leave, while devices go on.
        let crash = options.crash
        try writer.precopy(&engine, buffer.take()) { crash(.inPreCopy) }
        try tell(.preCopy, &clock, [.init("rows written", writer.writer.rows.changed)]) {
            try witness.check(machine, translating: everyone, in: .preCopy)
        }

        // Freeze: immutable, checked, everything that is not carried cleared.
        var frozen: FrozenEngine
        switch engine.freeze() {
        case .frozen(let cold): frozen = cold
        case .refused(let running, let refusal):
            try writer.append(buffer.take())
            report.verdict = HandoverReport.aborted
            report.verdictRule = refusal.rule
            report.verdictReason = "the freeze was refused: \(refusal)"
            try tell(.freeze, &clock, notes: ["refused, the old engine goes on"]) {
                try witness.check(machine, translating: everyone, in: .freeze)
            }
            let problems = script?.defect == nil ? running.checkInvariants() : []
            guard problems.isEmpty else { throw ScenarioError.broken(what: "freeze: \(problems[0])") }
            return report
        }
        // AMD: an entry that was never written lets everything through, also of requesters that do not exist.
        let unwritten = frozen.cleared.count { $0.entry.words.allSatisfy { $0 == 0 } }
        var counts: [HandoverReport.Count] = [.init("entries cleared", frozen.cleared.count - unwritten)]
        if unwritten > 0 { counts.append(.init("unwritten entries blocked", unwritten)) }
        if !frozen.kept.isEmpty { counts.append(.init("kept (cannot be blocked)", frozen.kept.count)) }
        let translating = carried.union(frozen.kept)
        try tell(.freeze, &clock, counts) { try witness.check(machine, translating: translating, in: .freeze) }
        options.crash(.beforeSeal)
        let location = try StoreLocation(options.store)
        if script?.jump == .beforeSeal {
            let survivor = frozen.jump()
            try tell(.jump, &clock, notes: ["the old kernel died, nothing was sealed"]) {
                try witness.check(survivor, translating: translating, in: .jump)
            }
            return try findNothing(in: location)
        }

        let sealed: Sealed
        let number = writer.writer.number
        guard let nonce = HandoverNonce(bytes: frozen.drawNonce()) else {
            preconditionFailure("a nonce has 16 bytes")
        }
        let journal = buffer.take()
        do {
            sealed = try seal(&frozen, with: writer, nonce, journal, machine)
        } catch {
            machine.setNonce(nil)
            let notes = ["failed, nothing is handed over"] + goOn(frozen, revoking: number, journal, buffer)
            try tell(.seal, &clock, notes: notes)
            throw error
        }
        let receipt = sealed.receipt
        try tell(
            .seal, &clock,
            [
                .init("rows written", sealed.rows.changed), .init("rows in all", sealed.rows.all),
                .init("table pages", sealed.counts.tablePages), .init("areas", sealed.counts.areas),
                .init("attachments", sealed.counts.attachments),
            ],
            notes: ["sealed as \(receipt.expected) in \(location.path(of: receipt.generation))"]
        ) { try witness.check(machine, translating: translating, in: .seal) }

        if script?.jump == .fails {
            machine.setNonce(nil)
            let notes = ["failed"] + goOn(frozen, revoking: receipt.generation, [], buffer)
            try tell(.jump, &clock, notes: notes) { try witness.check(machine, translating: everyone, in: .start) }
            return try findNothing(in: location)
        }

        // The jump: the engine is gone, machine and file remain.
        let survivor = frozen.jump()
        if script?.jump == .powerLoss {
            survivor.setNonce(nil)
            try tell(.jump, &clock, notes: ["the power failed: memory is lost"])
        } else {
            try tell(.jump, &clock) { try witness.check(survivor, translating: translating, in: .jump) }
        }
        try script?.tamper?(survivor, location.path(of: receipt.generation), receipt)
        let changes = script?.next ?? []
        return try takeUp(
            changes.isEmpty ? survivor : survivor.changed(changes), in: location, generation: receipt.generation,
            witness: witness, script)
    }

    /// The next kernel looks for what was handed over, and finds that nothing was.
    private func findNothing(in location: StoreLocation) throws -> HandoverReport {
        switch try RestoreSource.find(nil, in: location) {
        case .failure(let refusal): return report.refused(refusal)
        case .success(let source):
            throw ScenarioError.broken(what: "\(source.path) counts, and nothing was handed over")
        }
    }

    /// What a seal came to.
    private struct Sealed {
        var receipt: SealReceipt
        /// Rows that the seal wrote, and all.
        var rows: (changed: Int, all: Int)
        var counts: (tablePages: Int, areas: Int, attachments: Int)
    }

    /// One transaction of what changed since the pre-copy. The nonce goes into memory last: with it, everything that was
    /// to be made durable is.
    private func seal(
        _ frozen: inout FrozenEngine, with recording: consuming RecordingWriter, _ nonce: HandoverNonce,
        _ journal: [Event], _ machine: Machine
    ) throws -> Sealed {
        let changes = recording.recorder.changes(of: &frozen)
        let crash = options.crash
        let receipt = try recording.writer.seal(changes, nonce: nonce, events: journal) { crash(.inSeal) }
        let sealed = Sealed(receipt: receipt, rows: recording.writer.rows, counts: recording.recorder.counts)
        try recording.writer.release()
        crash(.beforeNonce)
        try options.vouch(try StoreLocation(options.store).path(of: receipt.generation))
        machine.setNonce(nonce.bytes)
        crash(.afterSeal)
        return sealed
    }

    /// The seal failed: the old engine thaws and goes on in the next generation, which first says that generation `number`
    /// does not count, whatever the disk holds of it, and then has the events that went down with the seal.
    ///
    /// - Returns: what to say of it.
    private func goOn(
        _ frozen: consuming FrozenEngine, revoking number: UInt64, _ journal: [Event], _ buffer: EventBuffer
    ) -> [String] {
        var engine = frozen.thaw()
        engine.note(.revoke, "revoke", [.init("generation", number)])
        do {
            let writer = try StoreLocation(options.store).create()
            try writer.append(journal + buffer.take())
            return ["the old engine goes on in generation \(writer.number), which revokes generation \(number)"]
        } catch {
            return ["the old engine goes on; generation \(number) could not be revoked: \(error)"]
        }
    }

    /// The second half: a new engine on what is in `location` and in memory.
    private mutating func takeUp(
        _ machine: Machine, in location: StoreLocation, generation: UInt64, witness: DMAWitness, _ script: Script?
    ) throws -> HandoverReport {
        report.generation = generation
        var clock = Clock()
        let checked: ManifestChecked
        do throws(RestoreRefusal) {
            checked = try ManifestChecked.check(
                path: location.path(of: generation), memory: MemoryNonce(machine.nonce))
        } catch {
            report = report.refused(error)
            if script?.quarantinesAll == true, error.verdict == .stop, try quarantineAll(machine, witness) {
                machine.setNonce(nil)
            }
            return report
        }
        let writer = try location.create(parent: ParentGeneration(number: generation, root: checked.seal.root))
        let path = location.path(of: writer.number)
        report.recorded = path
        let recovery = Recovery(
            checked: checked, checking: clock.lap(), machine: machine, evidence: .init(), witness: witness,
            untouched: script?.tamper == nil,
            origin: ["the next engine records in \(path)"], script: script)
        var engine = try recovery.run(&report, options: options) { try writer.append($0) }
        guard script?.again == true, var next = engine.take() else { return report }
        // The next update, of what this one has left.
        report.devices = []
        (report.verdict, report.verdictRule, report.verdictReason) = ("", nil, "")
        let session = try next.createSession("again")
        return try handOver(
            Ready(engine: next, session: session, buffer: recovery.buffer, writer: RecordingWriter(writer)))
    }

    /// Ends a phase; its time is the work's, without that of the probes.
    mutating func tell(
        _ phase: HandoverPhase, _ clock: inout Clock, _ counts: [HandoverReport.Count] = [], notes: [String] = [],
        probe: () throws -> HandoverReport.Count? = { nil }
    ) throws {
        var line = HandoverReport.Phase(phase: phase, seconds: clock.lap(), counts: counts, notes: notes)
        if let probes = try probe() { line.counts.append(probes) }
        report.phases.append(line)
        try options.tell(line)
        _ = clock.lap()
    }
}

/// Wall-clock laps.
struct Clock {
    private var last = ContinuousClock.now
    /// Part of the first lap.
    private var carried: Double

    /// Begins; so many seconds were spent before.
    init(carrying seconds: Double = 0) { carried = seconds }

    /// Seconds since the lap before.
    mutating func lap() -> Double {
        let now = ContinuousClock.now
        defer { (last, carried) = (now, 0) }
        let parts = (now - last).components
        return carried + Double(parts.seconds) + Double(parts.attoseconds) / 1e18
    }
}

extension HandoverReport {
    /// This report with the verdict that nothing may be restored.
    func refused(_ refusal: RestoreRefusal) -> HandoverReport {
        var report = self
        report.verdict = refusal.verdict.rawValue
        report.verdictRule = refusal.rule
        report.verdictReason = refusal.message
        return report
    }
}
