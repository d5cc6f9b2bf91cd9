import Engine
import Handover
import IOMMUModel
import Store

/// The generation under way, and what it has been told.
struct RecordingWriter: ~Copyable {
    var writer: GenerationWriter
    var recorder = SnapshotRecorder()

    init(_ writer: consuming GenerationWriter) { self.writer = writer }

    /// Appends events in a transaction of their own.
    borrowing func append(_ events: [Event]) throws { try writer.append(events) }

    /// One pass of the pre-copy, with `events`.
    mutating func precopy(
        _ engine: inout LiveEngine, _ events: [Event], beforeCommit: () -> Void = {}
    ) throws {
        let changes = recorder.changes(of: &engine)
        try writer.precopy(changes, events: events, beforeCommit: beforeCommit)
        recorder.commit()
    }
}
