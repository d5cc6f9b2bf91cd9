import IOMMUModel

/// Where a machine stands in an update: the states of live-update.md 3.5.
public enum HandoverState: String, Sendable, Hashable, CaseIterable {
    /// No session.
    case idle = "H0"
    /// A session is there, and nothing is in it that could go.
    case collecting = "H1"
    /// All that is preserved can go.
    case ready = "H2"
    /// Inside the freeze: nobody changes anything.
    case frozen = "H3"
    /// The seal is durable.
    case sealed = "H4"
    /// No kernel runs.
    case jump = "H5"
    /// A new engine takes units, tags and pages over.
    case adopting = "H6"
    /// Every device is restored, or quarantined; none is claimed.
    case attached = "H7"
    /// Agents are retrieving theirs.
    case retrieving = "H8"
    /// Every device is replaced, released or quarantined: the session can be finished.
    case draining = "H9"
    /// It is finished.
    case done = "H10"
    /// Given up before the jump.
    case aborted = "HA"
    /// Some devices' agent is gone: what is unclaimed is held.
    case degraded = "HB"
    /// The record cannot be believed, or the hardware not be stopped.
    case fatal = "HX"
}

/// What moves a machine from one ``HandoverState`` to another.
public enum HandoverEvent: String, Sendable, Hashable, CaseIterable {
    /// A session is made.
    case createSession = "create a session"
    /// A device is preserved in it.
    case preserve
    /// The session is closed.
    case close
    /// The reboot begins.
    case freeze
    /// A guard of the freeze refuses.
    case freezeRefused = "the freeze is refused"
    /// The record is durable.
    case seal
    /// The seal fails.
    case sealFails = "the seal fails"
    /// The old kernel ends.
    case jump
    /// It does not.
    case jumpFails = "the jump fails"
    /// Memory is lost.
    case powerLoss = "the power fails"
    /// The next kernel looks at the record.
    case start = "the next kernel starts"
    /// The record is not to be believed.
    case recordRefused = "the record is refused"
    /// The record is not to be believed, and every unit is made to refuse all DMA.
    case allAborted = "it is refused, and all DMA is aborted"
    /// Every device is restored, or quarantined.
    case restored = "all devices are attached"
    /// An agent claims a device.
    case claim
    /// The agent dies, or does not come in time.
    case abandon = "the agent dies"
    /// The last device is settled.
    case settle = "the last device is settled"
    /// The session is finished.
    case finish
    /// An operator gives the last unclaimed device up.
    case discard = "the rest is discarded"
}

extension HandoverState {
    /// Where `event` leads to; an errno where it is refused and nothing changes, `nil` where nobody is there to do it.
    public func after(_ event: HandoverEvent) -> Result<HandoverState, Errno>? {
        Self.exits[self]?[event]
    }

    private static let exits: [HandoverState: [HandoverEvent: Result<HandoverState, Errno>]] = [
        .idle: [.createSession: .success(.collecting)],
        .collecting: [.createSession: .success(.collecting), .preserve: .success(.ready), .close: .success(.aborted)],
        .ready: [
            .createSession: .success(.ready), .preserve: .success(.ready), .close: .success(.aborted),
            .freeze: .success(.frozen), .freezeRefused: .success(.ready),
        ],
        .frozen: [
            .createSession: .failure(.EBUSY), .preserve: .failure(.EBUSY), .close: .failure(.EBUSY),
            .seal: .success(.sealed), .sealFails: .success(.ready),
        ],
        .sealed: [
            .jump: .success(.jump), .jumpFails: .success(.ready), .powerLoss: .success(.idle),
        ],
        .jump: [
            .start: .success(.adopting), .recordRefused: .success(.fatal), .allAborted: .success(.idle),
            .powerLoss: .success(.idle),
        ],
        .adopting: [.restored: .success(.attached), .claim: .failure(.EBUSY)],
        .attached: [
            .claim: .success(.retrieving), .abandon: .success(.degraded), .finish: .failure(.EBUSY),
            .discard: .success(.draining), .close: .failure(.EINVAL), .preserve: .failure(.EBUSY),
        ],
        .retrieving: [
            .claim: .success(.retrieving), .abandon: .success(.degraded), .finish: .failure(.EBUSY),
            .settle: .success(.draining), .close: .failure(.EINVAL), .preserve: .failure(.EBUSY),
        ],
        .draining: [.finish: .success(.done), .close: .failure(.EINVAL), .preserve: .failure(.EBUSY)],
        .done: [.createSession: .success(.collecting)],
        .aborted: [.createSession: .success(.collecting)],
        .degraded: [
            .claim: .success(.retrieving), .discard: .success(.draining), .finish: .failure(.EBUSY),
            .abandon: .success(.degraded), .close: .failure(.EINVAL), .preserve: .failure(.EBUSY),
        ],
        .fatal: [:],
    ]

    /// The exits as a Markdown table: where each event leads to.
    public static var table: String {
        var lines = ["| | " + allCases.map(\.rawValue).joined(separator: " | ") + " |"]
        lines.append("|---|" + String(repeating: "---|", count: allCases.count))
        for event in HandoverEvent.allCases {
            let cells = allCases.map { state in
                switch state.after(event) {
                case nil: "–"
                case .success(let next): next.rawValue
                case .failure(let errno): errno.name
                }
            }
            lines.append("| \(event.rawValue) | \(cells.joined(separator: " | ")) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension LiveEngine {
    /// Where the machine stands, as the books say. What is done or aborted is idle again. O(attachments).
    public var handoverState: HandoverState {
        let incoming = sessionTable.values.filter(\.isIncoming).map(\.id)
        guard incoming.isEmpty else {
            let members = attachments.filter { $0.session.map(incoming.contains) ?? false }
            if members.allSatisfy(\.state.isSettled) { return .draining }
            if members.contains(where: { $0.state == .orphaned }) { return .degraded }
            return members.contains { !$0.state.isUnclaimed && $0.state != .quarantined } ? .retrieving : .attached
        }
        guard !sessionTable.values.isEmpty else { return .idle }
        let hasDevices = sessionTable.values.contains { !$0.devices.isEmpty }
        return hasDevices && freezeObstacle() == nil ? .ready : .collecting
    }
}
