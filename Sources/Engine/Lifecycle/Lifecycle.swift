import IOMMUModel

/// What userspace, drivers and operators ask of a device while its domain is handed over: the rows of the matrix.
public enum LifecycleOperation: String, Sendable, Hashable, CaseIterable {
    /// Map or unmap in the IOAS behind the domain.
    case map = "map, unmap"
    /// Label its HWPT with a token.
    case mark
    /// Take the label off.
    case unmark
    /// Destroy its HWPT.
    case destroyHWPT = "destroy HWPT"
    /// Put the device on another HWPT.
    case replace
    /// Take the device off its HWPT.
    case detach
    /// Attach one more PASID.
    case attachPASID = "attach PASID"
    /// Open the device, through the session if it came in one: VFIO resets it and attaches the blocking domain.
    case open
    /// Open the device beside the session.
    case openOutside = "open outside the session"
    /// Bind it to another iommufd: its group's DMA gets another owner.
    case claimOwner = "claim owner, another token"
    /// Retrieve it through its session, for the first time or again.
    case claim = "claim through the session"
    /// Function-level reset.
    case resetFunction = "reset of the function"
    /// Reset of all devices on its bus, here all in the same state.
    case resetBus = "reset of the bus"
    /// Bind a driver that does DMA of its own.
    case bindDriver = "bind a kernel driver"
    /// Unbind vfio-pci.
    case unbindDriver = "unbind"
    /// Switch dirty tracking of its HWPT.
    case dirtyTracking = "dirty tracking"
    /// Preserve it in an outgoing session.
    case preserve
    /// Give it up: blocked, after a reset.
    case discard
}

/// What the answer to an operation is, whatever its arguments: a cell of the matrix.
public enum LifecycleAnswer: Sendable, Hashable, CustomStringConvertible {
    /// It is done, if nothing else forbids it.
    case allowed
    /// It is answered, and not done to the device: start-up of VFIO on a device that is still in use.
    case suppressed
    /// A driver's probe is put off until the restore is over.
    case deferred
    /// The error number.
    case refused(Errno)
    /// Nobody is there to be asked: no kernel runs.
    case unasked

    /// As the table has it.
    public var description: String {
        switch self {
        case .allowed: "A"
        case .suppressed: "suppressed"
        case .deferred: "deferred"
        case .refused(let errno): errno.name
        case .unasked: "–"
        }
    }

    init(_ text: Substring) {
        switch text {
        case "A": self = .allowed
        case "suppressed": self = .suppressed
        case "deferred": self = .deferred
        case "–": self = .unasked
        default:
            guard let errno = Errno(symbol: text) else { preconditionFailure("no answer: \(text)") }
            self = .refused(errno)
        }
    }
}

/// The operation × state matrix of live-update.md 3.4, complete; Schema/LIFECYCLE.md says where it decides what the sources
/// leave open. A test asks the engine every cell.
public enum Lifecycle {
    /// D0 to D12, E1 to E4, as in ``DomainState``.
    private static let rows: [LifecycleOperation: String] = [
        .map:
            "A A EBUSY EBUSY – ENOENT ENOENT ENOENT ENOENT ENOENT ENOENT A ENOENT A ENOENT ENOENT –",
        .mark:
            "A A EBUSY EBUSY – ENOENT ENOENT ENOENT EBUSY EBUSY EBUSY A ENOENT A EBUSY ENOENT –",
        .unmark:
            "ENOENT A EBUSY EBUSY – ENOENT ENOENT ENOENT EBUSY EBUSY EBUSY ENOENT ENOENT A EBUSY ENOENT –",
        .destroyHWPT:
            "EBUSY EBUSY EBUSY EBUSY – ENOENT ENOENT ENOENT EBUSY EBUSY EBUSY EBUSY ENOENT EBUSY EBUSY ENOENT –",
        .replace:
            "A A EBUSY EBUSY – EBUSY EBUSY EBUSY EINVAL EINVAL A A EINVAL A EBUSY EBUSY –",
        .detach:
            "A A EBUSY EBUSY – EBUSY EBUSY EBUSY EBUSY EBUSY EBUSY A ENOENT A EBUSY EBUSY –",
        .attachPASID:
            "A A EBUSY EBUSY – EBUSY EBUSY EBUSY EBUSY EBUSY EBUSY A EINVAL A EBUSY EBUSY –",
        .open:
            "A A EBUSY EIO – EBUSY EBUSY suppressed suppressed suppressed suppressed suppressed A A EBUSY EBUSY –",
        .openOutside:
            "A A EBUSY EIO – EBUSY EBUSY EBUSY EBUSY EBUSY EBUSY EBUSY A A EBUSY EBUSY –",
        .claimOwner:
            "EBUSY EBUSY EBUSY EBUSY – EBUSY EBUSY EBUSY EBUSY EBUSY EBUSY EBUSY A EBUSY EBUSY EBUSY –",
        .claim:
            "ENOENT ENOENT ENOENT EBUSY – EBUSY A A A A A A EBUSY ENOENT A EBUSY –",
        .resetFunction:
            "A A A EIO – EBUSY EBUSY EBUSY A A A A A A EBUSY A –",
        .resetBus:
            "A A A EIO – EBUSY EBUSY EBUSY A A A A A A EBUSY A –",
        .bindDriver:
            "EBUSY EBUSY EBUSY EBUSY – deferred EBUSY EBUSY EBUSY EBUSY EBUSY EBUSY A EBUSY EBUSY EBUSY –",
        .unbindDriver:
            "A A EBUSY EBUSY – EBUSY EBUSY EBUSY EBUSY EBUSY EBUSY A A A EBUSY A –",
        .dirtyTracking:
            "A A EBUSY EBUSY – ENOENT ENOENT ENOENT EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP A ENOENT A EOPNOTSUPP ENOENT –",
        .preserve:
            "EINVAL A EBUSY EBUSY – EBUSY EBUSY EBUSY EBUSY EBUSY EBUSY EBUSY EINVAL A EBUSY EBUSY –",
        .discard:
            "EINVAL EINVAL EINVAL EBUSY – EBUSY A EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL A A –",
    ]

    private static let answers: [LifecycleOperation: [DomainState: LifecycleAnswer]] = rows.mapValues { row in
        let cells = row.split(separator: " ").map { LifecycleAnswer($0) }
        precondition(cells.count == DomainState.allCases.count, "a cell for each state: \(row)")
        return Dictionary(uniqueKeysWithValues: zip(DomainState.allCases, cells))
    }

    /// The cell of `operation` and `state`.
    public static func answer(_ operation: LifecycleOperation, _ state: DomainState) -> LifecycleAnswer {
        guard let answer = answers[operation]?[state] else { preconditionFailure("\(operation) has no row") }
        return answer
    }

    /// The matrix as a Markdown table.
    public static var table: String {
        var lines = ["| | " + DomainState.allCases.map(\.rawValue).joined(separator: " | ") + " |"]
        lines.append("|---|" + String(repeating: "---|", count: DomainState.allCases.count))
        for operation in LifecycleOperation.allCases {
            let cells = DomainState.allCases.map { "\(answer(operation, $0))" }
            lines.append("| \(operation.rawValue) | \(cells.joined(separator: " | ")) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension FrozenEngine {
    /// What `operation` on a device is answered inside the freeze: nothing is done, everybody is told to wait or to open
    /// the device again. Appends an event.
    public mutating func attempt(_ operation: LifecycleOperation, on requester: RequesterID) -> LifecycleAnswer {
        let answer = Lifecycle.answer(operation, .frozen)
        guard case .refused(let errno) = answer else { preconditionFailure("a frozen engine does nothing") }
        note(
            .phase, "attempt",
            [.init("what", operation.rawValue.replacing(" ", with: "-")), .init("device", requester)], errno: errno)
        return answer
    }
}

extension RestoringEngine {
    /// What `operation` on a device is answered while the restore is under way: nothing is done.
    public func attempt(_ operation: LifecycleOperation, on requester: RequesterID) -> LifecycleAnswer {
        Lifecycle.answer(operation, .staged)
    }
}
