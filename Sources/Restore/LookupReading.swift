import Engine
import Hardware
import IOMMUModel
import Snapshot
import Store
import Validate

/// The units' lookup structures as they were when they were taken over, beside the record: read once, asked for every
/// device.
struct LookupReading {
    private let recorded: Snapshot
    /// Units whose lookup pages are all recorded, and as recorded.
    private var unchanged: Set<UnitID>
    /// Of devices with entries for PASIDs that the record does not have: one of these.
    private(set) var strangers: [RequesterID: PASID] = [:]
    /// Made when a unit's lookup pages are not all as recorded: then each device's entries are looked at.
    private var audit: LookupAudit?

    /// `carried`: the devices that go over the jump. A device's PASIDs come over together: one that translates without a
    /// record is one that the preserve forgot. A guest's PASIDs are the guest's. `unchanged`: as ``unchangedUnits(_:_:)``.
    /// O(lookup entries).
    init(
        _ recorded: Snapshot, _ machine: Machine, _ listings: [UnitID: LookupListing],
        carried: Set<RequesterID>, unchanged: Set<UnitID>
    ) {
        self.recorded = recorded
        self.unchanged = unchanged
        let known = Set(recorded.attachments.lazy.filter { $0.pasid != nil }.map(\.key))
        for unit in machine.units {
            guard let listing = listings[unit.id] else { continue }
            if let pages = recorded.lookupPages.first(where: { $0.unit == unit.id })?.pages {
                let addresses = Set(pages.entries.map(\.address))
                if !listing.pages.allSatisfy({ addresses.contains($0.address) }) { self.unchanged.remove(unit.id) }
            }
            for entry in listing.entries {
                let requester = RequesterID(segment: unit.segment, rid: entry.rid)
                guard let pasid = entry.pasid, case .context(let context) = entry.resolution,
                    !known.contains(.init(requester, pasid)), carried.contains(requester)
                else { continue }
                if case .nested = context.path { continue }
                strangers[requester] = pasid
            }
        }
    }

    /// Units whose recorded lookup pages are all in memory as they were recorded; worked out on a thread of its own where
    /// there are many.
    static func unchangedUnits(_ recorded: Snapshot, _ machine: Machine) -> Meanwhile<Set<UnitID>> {
        // The memory itself, not a view: whoever began may be gone before the thread is.
        let (units, memory) = (recorded.lookupPages, machine.memory)
        return Meanwhile(if: units.reduce(0) { $0 + $1.pages.count } >= 256) {
            Set(units.lazy.filter { LookupAudit.isUnchanged($0.pages, live: memory.view) }.map(\.unit))
        }
    }

    /// The first recorded entry on the way of the device's requests that memory has otherwise.
    ///
    /// - Throws: `ENOMEM`.
    mutating func difference(
        _ requester: RequesterID, on unit: UnitID, _ machine: Machine
    ) throws(Refusal) -> Finding? {
        if unchanged.contains(unit) { return nil }
        if audit == nil {
            do { audit = try LookupAudit(recorded) } catch { throw Refusal(.ENOMEM) }
        }
        return audit?.check(requester, live: machine.memory.view).first
    }
}
