import Engine
import Handover
import IOMMUModel
import PageTables
import Scenario
import Snapshot

extension ReplayStart {
    /// The machine that an engine's snapshot was taken of, as far as engines look at it: units with their registers,
    /// devices, frames for tables, and every recorded page. Of all other memory there is nothing. O(recorded pages).
    ///
    /// - Throws: ``ReplayError/noStart(_:)`` for a snapshot that no engine made, or whose parts do not fit.
    public static func machine(of snapshot: Snapshot) throws(ReplayError) -> Machine {
        let arena = snapshot.memoryRanges.filter { $0.kind == .arena }.map(\.range)
        guard snapshot.origin == .engine, !arena.isEmpty,
            let handover = snapshot.memoryRanges.first(where: { $0.kind == .handover })?.range,
            let traits = DeviceTraits.read(snapshot)
        else { throw .noStart("the record is not of an engine, or of one that recorded less") }
        let sets = snapshot.lookupPages.map(\.pages) + snapshot.tablePages.map(\.pages)
        let pages = sets.lazy.flatMap(\.entries).map(\.address).compactMap { PhysicalRange(first: $0, bytes: 4096) }
        do {
            let memory = try MachineMemory.anonymous(arena + [handover] + pages)
            for set in sets {
                for (index, entry) in set.entries.enumerated() {
                    guard let page = memory.page(at: entry.address) else { continue }
                    set.decode(index, into: page)
                }
            }
            return try Machine(
                memory: memory, ramRanges: snapshot.memoryRanges.filter { $0.kind == .ram }.map(\.range),
                arenaRanges: arena, handoverPage: handover.first,
                units: snapshot.units.map { UnitDescription($0) },
                devices: snapshot.devices.map { MachineDevice($0, traits[$0.requester]) },
                reservedRegions: snapshot.reservedRegions.map { ReservedRegion($0) })
        } catch {
            throw .noStart("\(error)")
        }
    }
}
