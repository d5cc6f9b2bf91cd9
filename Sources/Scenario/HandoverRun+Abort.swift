import Engine
import Handover
import IOMMUModel
import Validate

extension HandoverRun {
    /// After a restore that came to `stop`: every unit of the surviving machine is made to refuse all DMA, so that the next
    /// kernel may allocate memory again. With ``RestoreRequest/record`` the memory file is written, its description with the
    /// units' new registers, and last of all the nonce goes: until then all of it can be done again. Otherwise the machine is
    /// a private copy, and nothing is written.
    ///
    /// No table below the root is read: of memory nothing is believed. O(devices + entries of root tables).
    ///
    /// - Parameter report: what the restore came to.
    /// - Returns: `report` with the verdict `quarantined`; still `stop`, with the reason, where one unit cannot do it or the
    ///   machine cannot be opened.
    /// - Throws: ``ScenarioError`` when the description cannot be written, or a device still reaches memory.
    public static func quarantineAll(
        _ request: RestoreRequest, after report: HandoverReport, options: Options
    ) throws -> HandoverReport {
        guard report.verdict == RestoreVerdict.stop.rawValue, let memory = request.memory else { return report }
        var run = HandoverRun(options)
        run.report = report
        let machine: Machine
        do {
            machine = try Self.machine(memory: memory, request, shared: request.record)
        } catch {
            run.noteObstacle("\(error)")
            return run.report
        }
        let description = request.description ?? descriptionPath(of: memory)
        let written = request.record ? "writes \(memory) and \(description)" : "nothing is written"
        guard try run.quarantineAll(machine, nil, notes: [written]) else { return run.report }
        options.crash(.inRestore)
        if request.record { try describeAgain(machine, in: description) }
        machine.setNonce(nil)
        return run.report
    }

    /// Every unit of `machine` refuses all DMA from here on, which every device is asked for at some addresses, and, where
    /// there is a `witness`, at the mappings of it.
    ///
    /// - Returns: false when that cannot be; nothing has changed then but the reason of the verdict.
    mutating func quarantineAll(_ machine: Machine, _ witness: DMAWitness?, notes: [String] = []) throws -> Bool {
        var clock = Clock()
        let units: [(unit: UnitID, how: UnitAbort)]
        do throws(AbortObstacle) {
            units = try machine.abortAll()
        } catch {
            noteObstacle("\(error)")
            return false
        }
        report.verdict = RestoreVerdict.quarantined.rawValue
        quarantineLines(of: machine)
        let quarantined = report.devices.count { $0.state == .quarantined }
        try tell(
            .restore, &clock,
            [.init("units aborting all DMA", units.count), .init("quarantined", quarantined)],
            notes: units.map {
                switch $0.how {
                case .registers: "unit \($0.unit): by its registers"
                case .rootTable: "unit \($0.unit): by every entry of the table at its root register"
                }
            } + notes
        ) { try witness?.check(machine, translating: [], in: .restore) ?? Self.askAnywhere(machine) }
        return true
    }

    private mutating func noteObstacle(_ what: String) {
        report.verdictReason += (report.verdictReason.isEmpty ? "" : "; ") + "not all DMA can be stopped: \(what)"
    }

    /// What was refused before stays so; all else is quarantined.
    private mutating func quarantineLines(of machine: Machine) {
        for index in report.devices.indices where ![.refused, .kept].contains(report.devices[index].state) {
            report.devices[index].state = .quarantined
            (report.devices[index].errno, report.devices[index].rule) = (.EINVAL, report.verdictRule)
        }
        let told = Set(report.devices.map(\.requester))
        report.devices += machine.devices.filter { $0.hasFunction && !told.contains($0.requester) }.map {
            .init(requester: $0.requester, pasid: nil, state: .quarantined, errno: .EINVAL, rule: report.verdictRule)
        }
    }

    /// Asks every device for some addresses, untagged and with a PASID.
    ///
    /// - Throws: ``ScenarioError/broken(what:)`` when one reaches memory.
    private static func askAnywhere(_ machine: Machine) throws(ScenarioError) -> HandoverReport.Count {
        var probes = 0
        for device in machine.devices {
            for iova in [0, 0x1000, 1 << 30, 1 << 32, 1 << 38] as [UInt64] {
                for pasid in [nil, PASID(1)] {
                    probes += 1
                    switch machine.dma(device.requester, pasid: pasid, iova: IOVA(iova), access: .write) {
                    case .fault, .aborted, .notIssued: continue
                    case let outcome:
                        throw .broken(what: "\(device.requester) at \(IOVA(iova)): \(outcome), expected a fault")
                    }
                }
            }
        }
        return .init("DMA probes", probes)
    }

    /// Replaces the description beside a memory file: registers have changed.
    private static func describeAgain(_ machine: Machine, in path: String) throws(ScenarioError) {
        var description = try MachineDescription.read(try WholeFile.read(path), file: path)
        description.takeRegisters(of: machine)
        let text: [UInt8]
        do { text = try description.json() } catch {
            throw .unreadable(file: path, place: "", what: "\(error)")
        }
        try WholeFile.write(text, to: path, replacing: true)
    }
}
