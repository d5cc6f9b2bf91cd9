import Engine
import IOMMUModel
import Restore
import Snapshot

/// What a replayed engine starts from. Each holds a machine of its own, which the replay changes.
public enum ReplayStart {
    /// Units that nobody has set up: the first engine of a machine (event `start`).
    case idle(Machine)
    /// A running kernel's state, as imported: the snapshot, and its machine (event `take-over source=running`).
    case running(Snapshot, Machine)
    /// What a sealed generation recorded, its machine (``ReplayStart/machine(of:)``), and what engines that died in between had announced
    /// (event `take-over source=handedOver`).
    case handedOver(Snapshot, Machine, ReplaceEvidence)

    /// The machine, whatever it starts from.
    var machine: Machine {
        switch self {
        case .idle(let machine), .running(_, let machine), .handedOver(_, let machine, _): machine
        }
    }
}
