import IOMMUModel

/// Where events go, in order. It must take every event it is given; making them durable is the receiver's.
public typealias EventSink = (Event) -> Void

/// The engine's clock and the numbering of its events.
struct EventJournal {
    var sequence: UInt64
    var timeNanoseconds: UInt64
    let sink: EventSink

    /// Each event takes one nanosecond of engine time, so that times are unique and depend on nothing else.
    mutating func append(
        _ kind: Event.Kind, _ name: String, _ arguments: [Event.Argument], errno: Errno? = nil
    ) {
        sequence += 1
        timeNanoseconds += 1
        sink(
            Event(
                sequence: sequence, timeNanoseconds: timeNanoseconds, kind: kind, name: name, arguments: arguments,
                errno: errno))
    }
}
