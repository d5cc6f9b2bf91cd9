import IOMMUModel
import Store

/// Why a replay did not arrive where the record is.
public enum ReplayError: Error, Sendable, Hashable, CustomStringConvertible {
    /// There is nothing to start from: what is missing.
    case noStart(String)
    /// The replayed engine told something else at this event; `nil`: nothing, or nothing any more.
    case diverges(recorded: Event?, replayed: Event?)
    /// An event that no engine of this version writes, or not here: what is wrong with it.
    case unreadable(Event, String)
    /// All events were the same; the state at the end is not: the parts of it that differ.
    case state([String])
    /// The nonce that the replayed engine draws is not the seal's.
    case nonce
    /// The store could not be read.
    case store(StoreError)

    /// One line.
    public var description: String {
        switch self {
        case .noStart(let what): "nothing to start from: \(what)"
        case .diverges(let recorded, let replayed):
            "the replay diverges: recorded \(Self.text(recorded)), replayed \(Self.text(replayed))"
        case .unreadable(let event, let what): "\(Self.text(event)): \(what)"
        case .state(let parts): "same events, another state: \(parts.joined(separator: ", "))"
        case .nonce: "the engine draws another nonce than the seal has"
        case .store(let error): error.description
        }
    }

    private static func text(_ event: Event?) -> String {
        guard let event else { return "nothing" }
        let errno = event.errno.map { " \($0.name)" } ?? ""
        let arguments = event.arguments.isEmpty ? "" : " \(event.argumentText)"
        return
            "event \(event.sequence) at \(event.timeNanoseconds) ns (\(event.kind.rawValue) \(event.name)\(arguments)\(errno))"
    }
}
