import Engine
import Handover
import IOMMUModel
import PageTables
import Snapshot
import Store

extension HandoverRun {
    /// Builds a scenario's machine, runs its steps, hands it over, and holds the outcome against what the file expects.
    ///
    /// - Throws: ``ScenarioError`` for a machine that cannot be built, an answer or an outcome that is not the expected
    ///   one; errors of the store.
    public static func run(_ scenario: ScenarioFile, options: Options) throws -> HandoverReport {
        var run = HandoverRun(options)
        var clock = Clock()
        let outputs = try RunOutputs(options)
        let buffer = EventBuffer()
        var runner = ScenarioRunner()
        var engine = try outputs.guarding {
            let machine = try run.machine(of: scenario)
            var engine: LiveEngine
            do throws(Errno) {
                engine = try LiveEngine.start(
                    machine,
                    configuration: Self.configuration(seed: scenario.seed, outputs.number, defect: scenario.defect)
                ) { buffer.append($0) }
            } catch {
                throw ScenarioError.machine(what: "no engine starts on it (\(error.name))")
            }
            try runner.addFiles(scenario.machine, to: &engine)
            return engine
        }
        let machine = engine.machine
        var writer = RecordingWriter(
            try outputs.guarding {
                try run.describe(machine, name: scenario.name)
                return try outputs.firstGeneration()
            })
        for (index, step) in scenario.steps.enumerated() {
            if case .preCopy = step.operation { try writer.precopy(&engine, buffer.take()) }
            try runner.run(step, number: index + 1, on: &engine) {
                // A failed operation is durable before the next step.
                if $0.errno != nil { try writer.append(buffer.take()) }
                run.report.steps.append($0)
                try options.tellStep($0)
            }
        }
        let names = ScenarioNames(scenario, runner)
        try Tampering(names).apply(scenario.damage, machine: machine, called: "damage")
        let session = try engine.createSession("scenario")
        try writer.append(buffer.take())
        try run.tell(
            .start, &clock, [.init("devices", machine.devices.count), .init("steps", scenario.steps.count)])
        var script = Script(machine: scenario.machine, after: scenario.after)
        script.jump = scenario.jump
        if !scenario.tamper.isEmpty {
            script.tamper = { try Tampering(names).apply(scenario.tamper, machine: $0, called: "tamper", path: $1, $2) }
        }
        (script.next, script.defect, script.again) = (scenario.next, scenario.defect, scenario.again)
        script.quarantinesAll = scenario.policy == .quarantineAll
        var report: HandoverReport
        do {
            report = try run.handOver(
                Ready(engine: engine, session: session, buffer: buffer, writer: writer, script: script))
        } catch ScenarioError.broken(let what) where scenario.defect != nil {
            report = run.report
            (report.verdict, report.verdictRule, report.verdictReason) = (HandoverReport.broken, nil, what)
        }
        try scenario.expect?.check(report)
        return report
    }

    /// The machine of a scenario: nothing but frames for tables, the handover page and the pages that guests write is
    /// really held.
    func machine(of scenario: ScenarioFile) throws -> Machine {
        let plan = scenario.machine
        let files = plan.memoryFiles.compactMap { PhysicalRange(first: $0.base, bytes: $0.byteCount) }
        var finder = FrameFinder(ram: plan.ram, used: files)
        guard let arena = finder.take(plan.tablePages), let page = finder.take(1)?.first else {
            throw ScenarioError.noFrames(needed: plan.tablePages + 1, found: finder.count)
        }
        return try Machine.described(
            memory: try memory(arena + [page] + scenario.writtenPages), ramRanges: plan.ram, arenaRanges: arena,
            handoverPage: page.first,
            units: plan.units.map { unit in
                // As after a reset: no tables, translation off.
                let idle =
                    switch unit.kind {
                    case .amdVi: ["control", "devtab"]
                    case .armSMMUv3: ["cr0", "strtab_base_cfg", "strtab_base_hi", "strtab_base_lo"]
                    case .intelVTd, .riscv: ["gsts", "rtaddr"]
                    }
                return UnitDescription(
                    id: unit.id, kind: unit.kind, segment: unit.segment, registerBase: unit.registerBase,
                    hostAddressWidth: unit.hostAddressWidth,
                    registers: unit.capabilities.map { .init($0.key, $0.value) } + idle.map { .init($0, 0) },
                    encryptionBit: unit.encryptionBit, accessedDirty: unit.accessedDirty)
            },
            devices: plan.devices.map {
                MachineDevice(
                    requester: $0.requester, unit: $0.unit, group: $0.group, hasFunction: $0.hasFunction,
                    driver: $0.driver, atsEnabled: $0.ats, priEnabled: $0.pri, pasidBits: $0.pasidBits)
            },
            reservedRegions: Set(
                plan.devices.flatMap { device in
                    device.reserved.map { ReservedRegion(group: device.group, kind: $0.kind, range: $0.range) }
                }
            ).sorted { ($0.group, $0.range) < ($1.group, $1.range) })
    }
}

extension ScenarioFile {
    /// The pages of memory files that steps write.
    fileprivate var writtenPages: [PhysicalRange] {
        let files = Dictionary(machine.memoryFiles.map { ($0.id, $0) }) { first, _ in first }
        let pages = steps.compactMap { step -> PhysicalAddress? in
            guard case .write(let id, let offset, _) = step.operation, let file = files[id], file.byteCount >= 8,
                offset <= file.byteCount - 8, let page = file.base.offset(by: offset)?.pageBase,
                machine.ram.contains(where: { $0.contains(page) })
            else { return nil }
            return page
        }
        return Set(pages).sorted().compactMap { PhysicalRange(first: $0, bytes: 4096) }
    }
}

/// What a scenario's names stand for in the record.
struct ScenarioNames {
    private let runner: ScenarioRunner
    init(_ scenario: ScenarioFile, _ runner: ScenarioRunner) { self.runner = runner }
    /// The record's id of the file's IOAS.
    func ioas(_ id: IOASID) -> IOASID? { runner.engineID(id) }
}

extension ScenarioExpectation {
    /// Holds `report` against the expectation.
    ///
    /// - Throws: ``ScenarioError/step(number:operation:expected:found:)`` with number 0 for the first difference.
    func check(_ report: HandoverReport) throws(ScenarioError) {
        func expect(_ what: String, _ wanted: String?, _ found: String) throws(ScenarioError) {
            guard let wanted, wanted != found else { return }
            throw .step(number: 0, operation: what, expected: wanted, found: found)
        }
        // A device with PASIDs has a line for each, and one answer.
        func devices(_ isWanted: (HandoverReport.Device) -> Bool) -> [RequesterID] {
            Set(report.devices.filter(isWanted).map(\.requester)).sorted()
        }
        func names(_ devices: [RequesterID]) -> String { devices.sorted().map(\.description).joined(separator: " ") }
        try expect("verdict", verdict, report.verdict)
        if let rule { try expect("rule", rule.rawValue, report.verdictRule?.rawValue ?? "none") }
        if let reason, !report.verdictReason.contains(reason) {
            throw .step(number: 0, operation: "reason", expected: reason, found: report.verdictReason)
        }
        try expect(
            "preserved", preserved.map(names),
            names(devices { ![.refused, .kept].contains($0.state) }))
        try expect(
            "quarantined", quarantined.map(names),
            names(devices { $0.state == .quarantined }))
        func refusals(_ list: [(RequesterID, Errno?)]) -> String {
            list.sorted { $0.0 < $1.0 }.map { "\($0.0) \($0.1?.name ?? "")" }.joined(separator: ", ")
        }
        try expect(
            "refused", refused.map { refusals($0.map { ($0.device, $0.errno) }) },
            refusals(
                report.devices.filter { $0.pasid == nil && [.refused, .kept].contains($0.state) }
                    .map { ($0.requester, $0.errno) }))
    }
}
