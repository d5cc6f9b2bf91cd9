import Engine
import IOMMUModel
import Snapshot

/// Goes along with a running engine and tells, pass by pass, what a snapshot would have otherwise than at the pass before:
/// the pre-copy of a handover, and at the end what little the blackout has to write.
///
/// All changes one after the other, applied to an empty snapshot (``Snapshot/apply(_:)``), are what
/// ``FrozenEngine/snapshot()`` says; only the accessed and dirty bits that the hardware has set since a table was told may
/// be missing (``DomainUnitRecord/Geometry/hardwareUpdatedMask``).
///
/// While nothing is preserved a pass tells all domains that are in use. As soon as a device is, it tells what a freeze
/// would leave: devices that are not preserved count as blocked, and what only they use is not told.
///
///     let changes = recorder.changes(of: &engine)
///     try writer.precopy(changes)
///     recorder.commit()
///
/// One recorder belongs to one generation. An engine tells each change to one recorder; one that asks after another has
/// looks at everything again.
public struct SnapshotRecorder: ~Copyable {
    private var told = RecordedKeys()
    /// As ``told``, with the changes that were not committed yet.
    private var next: RecordedKeys?
    /// What the engine has told and ``told`` does not know of.
    private var touched = EngineChanges()
    private var mustLookAtAll = true
    private let recipient = ChangeRecipient()

    /// A recorder that has told nothing.
    public init() {}

    /// What changed since the last pass that was committed. O(changes), with the tables and areas of each domain and address
    /// space that was touched; the lookup structures of a unit as a whole when one of its entries was written.
    public mutating func changes(of engine: inout LiveEngine) -> SnapshotChanges {
        take(engine.takeChanges(for: recipient))
        return pass(engine, cleared: nil)
    }

    /// As ``changes(of:)-(LiveEngine)``, of a frozen engine: after this there is nothing more to tell.
    public mutating func changes(of frozen: inout FrozenEngine) -> SnapshotChanges {
        take(frozen.takeChanges(for: recipient))
        return pass(frozen.engine, cleared: Set(frozen.cleared.map(\.requester)))
    }

    /// The last changes are where they belong: the next ones are those after them.
    public mutating func commit() {
        guard let next else { return }
        told = next
        self.next = nil
        touched = EngineChanges()
        mustLookAtAll = false
    }

    /// How much there is, the last changes included.
    public var counts: (tablePages: Int, areas: Int, attachments: Int) {
        let keys = next ?? told
        return (
            keys.pageCounts.values.reduce(0, +), keys.areaCounts.values.reduce(0, +), keys.attachments.count
        )
    }

    private mutating func take(_ found: (changes: EngineChanges, isEverything: Bool)) {
        touched.formUnion(found.changes)
        if found.isEverything {
            mustLookAtAll = true
            touched.formUnion(told.everything)
        }
    }

    private mutating func pass(_ engine: borrowing LiveEngine, cleared: Set<RequesterID>?) -> SnapshotChanges {
        // What was told of a pass that was not committed is not known to be anywhere.
        next = nil
        var pass = RecorderPass(told, touched, isFull: mustLookAtAll)
        pass.run(engine, cleared: cleared)
        next = pass.keys
        return pass.changes
    }
}
