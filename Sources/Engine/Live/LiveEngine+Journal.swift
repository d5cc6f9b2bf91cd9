import IOMMUModel

extension LiveEngine {
    /// Runs one operation and appends its event, whether it succeeds or not. `results` names what it answered with.
    mutating func operation<R>(
        _ name: String, _ arguments: [Event.Argument], results: ((R) -> [Event.Argument])? = nil,
        _ body: (inout LiveEngine) throws(Errno) -> R
    ) throws(Errno) -> R {
        defer { freeRetired() }
        do {
            let result = try body(&self)
            journal.append(.operation, name, results.map { arguments + $0(result) } ?? arguments)
            return result
        } catch {
            journal.append(.operation, name, arguments, errno: error)
            throw error
        }
    }

    /// The same for an operation that also says which rule refused.
    mutating func refusable<R>(
        _ name: String, _ arguments: [Event.Argument], results: ((R) -> [Event.Argument])? = nil,
        _ body: (inout LiveEngine) throws(Refusal) -> R
    ) throws(Refusal) -> R {
        defer { freeRetired() }
        do {
            let result = try body(&self)
            journal.append(.operation, name, results.map { arguments + $0(result) } ?? arguments)
            return result
        } catch {
            var arguments = arguments
            if let rule = error.rule { arguments.append(.init("rule", rule.rawValue)) }
            if let requester = error.requester, !arguments.contains(where: { $0.name == "device" }) {
                arguments.append(.init("device", requester))
            }
            journal.append(.operation, name, arguments, errno: error.errno)
            throw error
        }
    }

    /// Empties the units' fault recording registers into the journal, as a driver's fault handler does.
    public mutating func recordFaults() {
        for unit in machine.units {
            for fault in unit.faultLog.drain() {
                journal.append(
                    .fault, "fault",
                    [
                        .init("unit", unit.id), .init("device", fault.key.requester),
                        .init("pasid", fault.key.pasid.label),
                        .init("iova", fault.iova), .init("access", "\(fault.access)"),
                        .init("reason", hex(UInt64(fault.reason.code), digits: 2)),
                    ])
            }
        }
    }
}

extension Event.Argument {
    /// `device` and, when tagged, `pasid`.
    static func device(_ requester: RequesterID, _ pasid: PASID?) -> [Event.Argument] {
        pasid.map { [.init("device", requester), .init("pasid", $0)] } ?? [.init("device", requester)]
    }

    /// The same, and `next`.
    static func device(_ requester: RequesterID, _ pasid: PASID?, _ next: Event.Argument) -> [Event.Argument] {
        pasid.map { [.init("device", requester), .init("pasid", $0), next] } ?? [.init("device", requester), next]
    }
}
