import Engine
import Glibc
import Handover
import IOMMUModel
import Validate

extension HandoverRun {
    /// After a restore that came to `stop`: every unit of the surviving machine is made to refuse all DMA, so that the next
    /// kernel may allocate memory again. With ``RestoreRequest/record`` the memory file is written, its description with the
    /// units' new registers, and the nonce goes; otherwise the machine is a private copy.
    ///
    /// - Parameter report: what the restore came to.
    /// - Returns: `report` with the verdict `quarantined`; still `stop` where one unit cannot do it, with the reason.
    public static func quarantineAll(
        _ request: RestoreRequest, after report: HandoverReport, options: Options
    ) throws -> HandoverReport {
        guard report.verdict == RestoreVerdict.stop.rawValue, let memory = request.memory else { return report }
        let machine = try Self.machine(memory: memory, request, shared: request.record)
        var run = HandoverRun(options)
        run.report = report
        try run.quarantineAll(machine, DMAWitness(machine, pagesPerDevice: options.pagesPerDevice))
        guard request.record, run.report.verdict == RestoreVerdict.quarantined.rawValue else { return run.report }
        try run.describeAgain(machine, in: request.description ?? descriptionPath(of: memory))
        return run.report
    }

    /// Every unit of `machine` refuses all DMA from here on, which every mapping of `witness` is asked for.
    mutating func quarantineAll(_ machine: Machine, _ witness: DMAWitness) throws {
        var clock = Clock()
        let units: [(unit: UnitID, how: UnitAbort)]
        do throws(AbortObstacle) {
            units = try machine.abortAll()
        } catch {
            report.verdictReason += (report.verdictReason.isEmpty ? "" : "; ") + "not all DMA can be stopped: \(error)"
            return
        }
        machine.setNonce(nil)
        report.verdict = RestoreVerdict.quarantined.rawValue
        report.devices = machine.devices.filter(\.hasFunction).map {
            .init(requester: $0.requester, pasid: nil, state: .quarantined, errno: .EINVAL, rule: report.verdictRule)
        }
        try tell(
            .restore, &clock,
            [.init("units abort all DMA", units.count), .init("quarantined", report.devices.count)],
            notes: units.map {
                switch $0.how {
                case .registers: "unit \($0.unit): by its registers"
                case .rootTable: "unit \($0.unit): by every entry of the table at its root register"
                }
            }
        ) { try witness.check(machine, translating: [], in: .restore) }
    }

    /// Replaces the description beside a memory file: registers have changed.
    private func describeAgain(_ machine: Machine, in path: String) throws {
        var description = try MachineDescription.read(try WholeFile.read(path), file: path)
        description.takeRegisters(of: machine)
        let text = try description.json()
        let made = path + ".new"
        let file = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw ScenarioError.io(operation: "create", path: made, errno: errno) }
        defer { close(file) }
        let written = text.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        guard written == text.count, fsync(file) == 0 else {
            throw ScenarioError.io(operation: "write", path: made, errno: errno)
        }
        guard rename(made, path) == 0 else { throw ScenarioError.io(operation: "rename", path: path, errno: errno) }
    }
}
