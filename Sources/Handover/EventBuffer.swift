import IOMMUModel

/// Holds an engine's events until the generation's next transaction takes them.
///
/// The engine tells its events synchronously and cannot fail; the store is written at the borders of phases, and at once
/// after a failed operation.
public final class EventBuffer {
    /// Not taken yet, in the order in which they were told.
    public private(set) var events: [Event] = []
    /// True when a failed operation is among the events: it must be durable before the next step.
    public private(set) var holdsFailure = false

    /// An empty buffer.
    public init() {}

    /// The sink to give to an engine.
    public func append(_ event: Event) {
        events.append(event)
        if event.errno != nil { holdsFailure = true }
    }

    /// Takes all events out.
    public func take() -> [Event] {
        defer {
            events.removeAll()
            holdsFailure = false
        }
        return events
    }
}
