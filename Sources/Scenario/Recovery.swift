import Engine
import Handover
import IOMMUModel
import Restore
import Snapshot
import Store
import Validate

/// The new kernel and its userspace at work: restore, audit, claim, adopt, rebuild, compare, replace, finish.
struct Recovery {
    let checked: ManifestChecked
    /// What the check took, in seconds: part of the restore.
    let checking: Double
    let machine: Machine
    let evidence: ReplaceEvidence
    let witness: DMAWitness
    /// Nothing was tampered with: every probe must be right.
    let untouched: Bool
    /// Where the record comes from and where the next one goes, in words.
    var origin: [String] = []
    /// What is not as in every handover.
    var script: HandoverRun.Script?
    /// What the new engine has told since it was asked last.
    let buffer = EventBuffer()
    private let lines = DeviceLines()
    /// So many events of a rebuild go down in one transaction, and are in memory before it: about 1 KiB each.
    private static let eventsAtOnce = 1 << 13

    /// - Returns: the engine that goes on.
    @discardableResult
    func run(
        _ report: inout HandoverReport, options: HandoverRun.Options, carryOn: Bool = true,
        record: ([Event]) throws -> Void
    ) throws -> LiveEngine? {
        var clock = Clock(carrying: checking)
        let recorded = checked.snapshot
        // Devices that must not be blocked go on translating; nothing else is done with them.
        var kept: Set<RequesterID> = []
        // A phase's time is the work's, without that of the probes.
        func tell(
            _ phase: HandoverPhase, _ counts: [HandoverReport.Count], notes: [String] = [],
            probing: Set<RequesterID>? = nil
        ) throws {
            var line = HandoverReport.Phase(phase: phase, seconds: clock.lap(), counts: counts, notes: notes)
            if let probing = probing?.union(kept) {
                line.counts.append(
                    untouched || script?.defect != nil
                        ? try witness.check(machine, translating: probing, in: phase)
                        : witness.probe(machine, translating: probing, preferred: .write).count)
            }
            report.phases.append(line)
            try options.tell(line)
            _ = clock.lap()
        }

        // Restore: before anything else sees a device.
        var restored = try Restorer.restore(
            recorded, machine: machine, losses: checked.losses, evidence: evidence,
            configuration: HandoverRun.configuration(
                seed: checked.seal.nonce?.low ?? 0, checked.header.number, defect: script?.defect),
            crash: options.crash
        ) { buffer.append($0) }
        try record(buffer.take())
        for device in restored.devices { set(&report, device) }
        var attached = Set(restored.devices.filter { $0.state == .restored }.map(\.requester))
        kept = Set(restored.devices.filter { $0.state == .kept }.map(\.requester))
        var quarantined = restored.devices.filter { $0.state == .quarantined }
        var counts: [HandoverReport.Count] = [
            .init("restored", attached.count),
            .init("quarantined", Set(quarantined.map(\.requester)).count),
        ]
        let tagged = restored.devices.count { $0.state == .restored && $0.pasid != nil }
        if tagged > 0 { counts.append(.init("PASIDs", tagged)) }
        if !restored.foundReplaced.isEmpty {
            counts.append(.init("found on rebuilt tables", restored.foundReplaced.count))
        }
        if !kept.isEmpty { counts.append(.init("kept (cannot be blocked)", kept.count)) }
        try tell(.restore, counts, notes: origin, probing: attached)

        // Audit: the record against memory, beside the running devices.
        let audited = restored.audit(recorded, progress: options.auditing)
        attached.subtract(audited.quarantined.map(\.requester))
        quarantined += audited.quarantined
        var notes = audited.notes
        let independent = recorded.ioases.filter { $0.areaOrigin == .declared }.count
        notes.append(
            recorded.ioases.isEmpty
                ? "no areas: nothing to hold the tables against"
                : independent == recorded.ioases.count
                    ? "the areas were declared: they are an independent witness of the tables"
                    : "\(recorded.ioases.count - independent) of \(recorded.ioases.count) address spaces have areas read "
                        + "off the tables: no independent witness")
        try record(buffer.take())
        try tell(
            .audit,
            [
                .init("table pages", audited.tablePages), .init("areas", audited.areas),
                .init("findings", audited.findings),
            ], notes: notes,
            probing: attached)
        options.crash(.afterRestore)

        for device in quarantined { set(&report, device) }
        // A device that must not be blocked is not given to anybody; where its record is damaged, that is no success.
        let lost = checked.losses.requesters(recorded)
        let isDegraded = !quarantined.isEmpty || kept.contains { lost[$0] != nil }
        report.verdict = (isDegraded ? RestoreVerdict.degraded : .restored).rawValue
        report.verdictRule = quarantined.first?.rule ?? checked.losses.rows.first?.rule
        if let script, let steps = script.after {
            try run(steps, of: script.machine, &restored.engine, &report, options) { try record(buffer.take()) }
            return restored.engine
        }
        // Userspace comes back.
        var claimer = Claimer(
            recorded, sessions: restored.sessions, attached: restored.domains, devices: attached)
        if !attached.isEmpty, carryOn {
            let claimed = try claimer.claim(&restored.engine)
            try tell(.claim, [.init("devices", claimed)], probing: attached)
            let adopted = try claimer.adopt(&restored.engine)
            try record(buffer.take())
            try tell(.adopt, [.init("domains", adopted)], probing: attached)
            var written = Result<Void, any Error>.success(())
            let rebuilt = try claimer.rebuild(&restored.engine) {
                guard buffer.events.count >= Self.eventsAtOnce, case .success = written else { return }
                written = Result { try record(buffer.take()) }
            }
            try written.get()
            try record(buffer.take())
            try tell(
                .rebuild,
                [
                    .init("address spaces", rebuilt.spaces), .init("areas", rebuilt.areas),
                    .init("new table pages", rebuilt.tablePages),
                ], probing: attached)
            let compared = claimer.compare(&restored.engine)
            try tell(
                .compare, [.init("bytes equal", compared.equalBytes), .init("differing", compared.differing.count)],
                notes: compared.differing.map { "\($0.key): \($0.what)" }, probing: attached)
            claimer.announce(&restored.engine)
            try record(buffer.take())
            let watch = HitlessWatch(machine, witness.devices)
            let replaced = try watch.during { try claimer.replace(&restored.engine, crash: options.crash) }
            try record(buffer.take())
            try tell(
                .replace,
                [
                    .init("replaced", replaced.replaced.count), .init("passed through", replaced.passedThrough.count),
                    .init("old table pages freed", replaced.freedPages),
                ], notes: replaced.refused.map { "\($0.key): the engine answered \($0.errno.name)" },
                probing: attached)
            update(&report, replaced, compared.differing)
        }
        guard carryOn else { return nil }
        var refusal: Refusal?
        do throws(Refusal) { try claimer.finish(&restored.engine) } catch { refusal = error }
        if refusal == nil { machine.setNonce(nil) }
        note(report, &restored.engine)
        try record(buffer.take())
        let left = refusal.map { ["not finished: \($0)"] } ?? []
        try tell(.finish, [.init("sessions", restored.sessions.count)], notes: left, probing: attached)
        let problems = restored.engine.checkInvariants()
        guard problems.isEmpty else { throw ScenarioError.broken(what: "finish: \(problems[0])") }
        return restored.engine
    }

    /// Runs the scenario's own steps, each recorded; the lines of the devices say where they ended.
    private func run(
        _ steps: [ScenarioStep], of plan: ScenarioMachine, _ engine: inout LiveEngine, _ report: inout HandoverReport,
        _ options: HandoverRun.Options, record: () throws -> Void
    ) throws {
        var runner = ScenarioRunner(incoming: engine.sessions)
        try runner.addFiles(plan, to: &engine)
        for (index, step) in steps.enumerated() {
            // What was compared leads where it led before, at every instant.
            var watched: [DMAWitness.Device] = []
            if case .replace(_, _, _, attachNew: false) = step.operation { watched = witness.devices }
            try HitlessWatch(machine, watched).during {
                try runner.run(step, number: index + 1, on: &engine) {
                    try record()
                    report.steps.append($0)
                    try options.tellStep($0)
                }
            }
            let problems = engine.checkInvariants()
            guard problems.isEmpty else { throw ScenarioError.broken(what: "\(step.name): \(problems[0])") }
        }
        for device in report.devices where device.state == .restored {
            switch engine.attachment(device.requester, pasid: device.pasid)?.state {
            case .replaced, .live:
                set(&report, .init(requester: device.requester, pasid: device.pasid, state: .replaced))
            case .released:
                set(&report, .init(requester: device.requester, pasid: device.pasid, state: .released))
            case .quarantined:
                set(&report, .init(requester: device.requester, pasid: device.pasid, state: .quarantined))
            default: continue
            }
        }
        // Those that its steps made are of this kernel.
        if !engine.sessions.contains(where: \.isIncoming) { machine.setNonce(nil) }
        note(report, &engine)
        try record()
    }

    private func note(_ report: HandoverReport, _ engine: inout LiveEngine) {
        engine.note(
            .verdict, report.verdict,
            [.init("generation", checked.header.number)]
                + (report.verdictRule.map { [.init("rule", $0.rawValue)] } ?? []))
    }

    private func update(
        _ report: inout HandoverReport, _ replaced: Claimer.Replaced,
        _ differing: [(key: AttachmentKey, what: String)]
    ) {
        for key in replaced.replaced {
            set(&report, .init(requester: key.requester, pasid: key.pasid, state: .replaced))
        }
        for key in replaced.passedThrough {
            set(&report, .init(requester: key.requester, pasid: key.pasid, state: .passedThrough))
        }
        for (key, what) in differing {
            set(
                &report,
                .init(
                    requester: key.requester, pasid: key.pasid, state: .restored, errno: .EINVAL,
                    rule: .compareDiffers, reason: what))
        }
        for (key, errno) in replaced.refused {
            set(
                &report,
                .init(
                    requester: key.requester, pasid: key.pasid, state: .restored, errno: errno,
                    rule: errno == .EADDRINUSE ? .areaReserved : nil,
                    reason: "replace: the device stays on the inherited tables"))
        }
    }

    private func set(_ report: inout HandoverReport, _ device: HandoverReport.Device) {
        lines.set(&report, device)
    }
}

/// Which line of a report is whose: there is one for each of thousands of devices and PASIDs, several times over.
private final class DeviceLines {
    private var places: [AttachmentKey: Int] = [:]

    /// Replaces the line of the requests, or appends the first.
    func set(_ report: inout HandoverReport, _ device: HandoverReport.Device) {
        if places.isEmpty {
            for (place, line) in report.devices.enumerated() { places[Self.key(line)] = place }
        }
        guard let place = places[Self.key(device)] else {
            places[Self.key(device)] = report.devices.count
            return report.devices.append(device)
        }
        let before = report.devices[place]
        report.devices[place] = device
        if device.state == .kept, device.errno == nil {
            // Why it was not carried.
            (report.devices[place].errno, report.devices[place].rule) = (before.errno, before.rule)
        }
    }

    private static func key(_ line: HandoverReport.Device) -> AttachmentKey {
        AttachmentKey(line.requester, line.pasid)
    }
}
