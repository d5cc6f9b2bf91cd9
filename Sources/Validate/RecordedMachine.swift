import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// The machine of a snapshot as far as its pages are recorded: all that can be asked of a memory image can be asked of
/// it.
///
/// Answers come from the recorded root registers and pages, as the hardware would give them, not from the attachments.
public struct RecordedMachine: Sendable {
    /// As given.
    public let snapshot: Snapshot
    /// The recorded pages; every other address is absent (unknown).
    public let memory: PhysicalMemory
    /// In the order of the snapshot.
    public let units: [RecordedUnit]
    let pages: RecordedMemory

    /// Decodes every recorded page once; lists as much of each unit's lookup structures as `lookups` allows.
    public init(_ snapshot: Snapshot, lookups: LookupBudget = LookupBudget()) throws(MemoryError) {
        self.snapshot = snapshot
        pages = try RecordedMemory(snapshot)
        self.memory = pages.memory
        let memory = pages.memory
        units = withExtendedLifetime(memory) {
            snapshot.units.map { RecordedUnit($0, memory: memory.view, lookups: lookups) }
        }
    }

    /// The unit that serves `device`: by its record, else the unit of its segment that has an entry for it, else the
    /// first of its segment. `nil` when no unit serves the segment.
    public func unit(of device: RequesterID) -> RecordedUnit? {
        if let record = snapshot.devices.first(where: { $0.requester == device }),
            let unit = units.first(where: { $0.record.id == record.unit })
        {
            return unit
        }
        let candidates = units.filter { $0.record.segment == device.segment }
        return candidates.first { !$0.entries(device.rid).isEmpty } ?? candidates.first
    }
}
