import Hardware
import IOMMUModel

/// One access that a unit refused, as its fault recording registers would tell it.
public struct FaultRecord: Sendable, Hashable {
    /// Whose access it was, and with which PASID.
    public var key: AttachmentKey
    /// The address as it was on the bus, page offset included.
    public var iova: IOVA
    /// What was asked for.
    public var access: Access
    /// As the unit's vendor tells it.
    public var reason: FaultReason
}

/// The fault recording registers of one unit: a bounded queue that drops the newest when full, as the hardware does
/// (VT-d 7.2.1), and counts what it dropped.
public struct FaultLog: Sendable, Hashable {
    /// The most records that it holds undrained.
    public let capacity: Int
    /// Not drained yet, the oldest first.
    public private(set) var records: [FaultRecord] = []
    /// Faults that found the queue full.
    public private(set) var overflowCount: UInt64 = 0

    init(capacity: Int = 256) { self.capacity = capacity }

    mutating func append(_ record: FaultRecord) {
        if records.count < capacity { records.append(record) } else { overflowCount &+= 1 }
    }

    /// Empties the queue and returns what was in it: what a driver's fault handler does.
    public mutating func drain() -> [FaultRecord] {
        defer { records.removeAll() }
        return records
    }
}
