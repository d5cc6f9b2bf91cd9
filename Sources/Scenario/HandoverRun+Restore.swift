import Engine
import Glibc
import Handover
import IOMMUModel
import Import
import Restore
import Snapshot
import Store
import Validate

extension HandoverRun {
    /// What a restore by itself is asked to do.
    public struct RestoreRequest {
        /// A generation file, or a directory of them.
        public var store: String
        /// The one to start from; `nil`: the newest sealed one that is not revoked.
        public var generation: UInt64?
        /// The memory file that survived, and what is beside it; `nil`: build from the record alone.
        public var memory: String?
        /// The file that describes the machine; `nil`: ``HandoverRun/descriptionPath(of:)``.
        public var description: String?
        /// What becomes of a generation that is damaged.
        public var policy = Policy.stop
        /// Go on to the end and record it as the next generation of the store.
        public var record = false
        /// The seal that is insisted on.
        public var expected: ExpectedSeal?
        /// Asked before anything of the generation is believed, with the very bytes that are used; an error ends the
        /// restore.
        public var authenticate: ((borrowing GenerationReader) throws -> Void)?
        /// Told what was found beside each generation that is read: the one to start from, and those that an earlier
        /// attempt left.
        public var found: (GenerationHeader) -> Void = { _ in }
        /// Nothing but the store: a restore without memory.
        public init(store: String) { self.store = store }
    }

    /// What a restore does about a damaged record.
    public enum Policy: String, Sendable, CaseIterable {
        /// Nothing is restored from a generation of which anything is damaged.
        case stop
        /// Damaged rows of table pages, areas and events: devices that depend on one are quarantined, the others restored.
        case quarantine
        /// As `stop`; and then every unit is made to refuse all DMA, if all of them can:
        /// ``HandoverRun/quarantineAll(_:after:options:)``.
        case quarantineAll = "quarantine-all"
    }

    /// Continues from what a crash left, or says what a restore would come to.
    ///
    /// Without ``RestoreRequest/record`` nothing is written: memory is a private copy, and it ends after the audit.
    public static func restore(_ request: RestoreRequest, options: Options) throws -> HandoverReport {
        var run = HandoverRun(options)
        let location = try StoreLocation(request.store)
        let source: RestoreSource
        switch try RestoreSource.find(request.generation, in: location) {
        case .success(let found): source = found
        case .failure(let refusal): return run.report.refused(refusal)
        }
        let reader = try GenerationReader(path: source.path)
        request.found(reader.header)
        try request.authenticate?(reader)
        let number = reader.header.number
        run.report.generation = number
        var machine: Machine?
        if let memory = request.memory { machine = try Self.machine(memory: memory, request, shared: request.record) }
        var clock = Clock()
        let checked: ManifestChecked
        do throws(RestoreRefusal) {
            checked = try ManifestChecked.check(
                reader, isRevoked: source.isRevoked, memory: machine.map { MemoryNonce($0.nonce) } ?? .noMemory,
                expected: request.expected, isPartial: request.policy == .quarantine)
        } catch {
            return run.report.refused(error)
        }
        let checking = clock.lap()
        guard let machine else { return try run.reconstruct(checked) }
        let evidence = try evidence(after: number, in: location, request.found)
        // What the devices reach now, before this engine touches anything: it must stay so.
        let witness = DMAWitness(machine, pagesPerDevice: options.pagesPerDevice)
        guard request.record else {
            let recovery = Recovery(
                checked: checked, checking: checking, machine: machine, evidence: evidence, witness: witness,
                untouched: true,
                origin: source.notes(number, checked.seal) + checked.losses.notes + ["nothing is recorded"])
            try recovery.run(&run.report, options: options, carryOn: false) { _ in }
            return run.report
        }
        guard location.isDirectory else {
            throw ScenarioError.unreadable(
                file: request.store, place: "",
                what: "found one generation; expected their directory, to record the next in")
        }
        let writer = try location.create(parent: ParentGeneration(number: number, root: checked.seal.root))
        let path = location.path(of: writer.number)
        run.report.recorded = path
        let recovery = Recovery(
            checked: checked, checking: checking, machine: machine, evidence: evidence, witness: witness,
            untouched: true,
            origin: source.notes(number, checked.seal) + checked.losses.notes + ["recorded in \(path)"])
        try recovery.run(&run.report, options: options) { try writer.append($0) }
        return run.report
    }

    /// What the open generations after `number` announce: they are what dead engines left.
    private static func evidence(
        after number: UInt64, in location: StoreLocation, _ found: (GenerationHeader) -> Void
    ) throws -> ReplaceEvidence {
        var events: [Event] = []
        for later in try location.numbers() where later > number {
            guard let reader = try? GenerationReader(path: location.path(of: later)),
                reader.header.parent?.number == number, let told = try? reader.events()
            else { continue }
            found(reader.header)
            events += told
        }
        return ReplaceEvidence(events)
    }

    /// The machine of a memory file and its description.
    static func machine(memory path: String, _ request: RestoreRequest, shared: Bool) throws -> Machine {
        let file = request.description ?? descriptionPath(of: path)
        let metadata = try ImageMetadata(file: file)
        let image = try MachineImage(
            file: path, base: nil, metadata: metadata, sharing: shared ? .shared : .privateCopy)
        let bytes = try WholeFile.read(file)
        return try MachineDescription.read(bytes, file: file).build(memory: image.memory, file: file)
    }

    /// Offline: the record against itself.
    private mutating func reconstruct(_ checked: ManifestChecked) throws -> HandoverReport {
        var clock = Clock()
        let recorded = try RecordedMachine(checked.snapshot)
        let audit = Audit(checked.snapshot)
        var pages = 0
        var findings: [Finding] = []
        let domains = audit.domains
        options.auditing(0, domains.count)
        let results = audit.run(
            domains, memory: recorded.memory.view, progress: { [options] in options.auditing($0, domains.count) })
        for result in results {
            pages += result.tablePages
            findings += result.findings.filter { $0.severity == .error }
        }
        let carried = Set(checked.snapshot.devices.lazy.filter(\.preserved).map(\.requester))
        let lost = checked.losses.requesters(checked.snapshot)
        report.devices = checked.snapshot.attachments.filter { carried.contains($0.requester) }.map {
            guard let row = lost[$0.requester] else {
                return .init(requester: $0.requester, pasid: $0.pasid, state: .preserved)
            }
            return .init(
                requester: $0.requester, pasid: $0.pasid, state: .quarantined, errno: .EINVAL, rule: row.rule,
                reason: RecordLosses.reason(row))
        }
        try tell(
            .audit, &clock,
            [.init("devices", carried.count), .init("table pages", pages), .init("findings", findings.count)],
            notes: (checked.losses.notes + findings.map(\.message)).prefix(20).map(\.self))
        report.verdict = RestoreVerdict.reconstructed.rawValue
        report.verdictRule = checked.losses.rows.first?.rule ?? findings.first?.rule
        return report
    }
}
