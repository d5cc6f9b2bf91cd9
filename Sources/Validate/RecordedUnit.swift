import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// One recorded unit with what its registers and recorded pages say.
public struct RecordedUnit: Sendable {
    /// As in the snapshot.
    public let record: UnitRecord
    /// `nil` when this version does not read units of that kind, or a register that it needs is not recorded.
    public let hardware: IOMMUHardware?
    /// Everything in its lookup structures, also when translation is off; `nil` where its root register names none.
    public let listing: LookupListing?
    /// The register that is needed and not recorded.
    let missingRegister: String?

    init(_ record: UnitRecord, memory: MemoryView, lookups: LookupBudget = LookupBudget()) {
        self.record = record
        do throws(IOMMUHardware.MissingRegister) {
            hardware = try IOMMUHardware(
                kind: record.kind, hostAddressWidth: Int(record.hostAddressWidth),
                encryptionBit: record.encryptionBit.map { Int($0) }, updatesAccessedDirty: record.accessedDirty
            ) { record[register: $0] }
            listing = hardware.flatMap { $0.namesTables ? $0.listing(memory: memory, budget: lookups) : nil }
            missingRegister = nil
        } catch {
            hardware = nil
            listing = nil
            missingRegister = error.name
        }
    }

    /// True when requests go through the lookup tables at all.
    var translates: Bool { hardware?.translationEnabled == true && listing != nil }

    func requester(_ rid: UInt16) -> RequesterID { RequesterID(segment: record.segment, rid: rid) }

    /// The entries of `rid`, untagged first; none when its entry is empty or its tables are not recorded.
    func entries(_ rid: UInt16) -> ArraySlice<LookupListing.Entry> {
        guard let entries = listing?.entries else { return [] }
        let start = entries.firstIndex(from: 0) { $0.rid >= rid }
        var end = start
        while end < entries.count, entries[end].rid == rid { end += 1 }
        return entries[start..<end]
    }

    /// The entry of `rid` and `pasid`, as ``entries(_:)``. O(log n).
    func entry(_ rid: UInt16, _ pasid: PASID?) -> LookupListing.Entry? {
        listing.flatMap { listing in listing.index(of: rid, pasid: pasid).map { listing.entries[$0] } }
    }

    /// The configuration of recorded tables; `nil` when the unit has no such format or width.
    package func configuration(_ tables: DomainUnitRecord.Geometry) -> PageTableConfiguration? {
        hardware?.configuration(
            format: tables.format, topLevel: Int(tables.topLevel), addressBits: Int(tables.addressBits),
            signExtended: tables.signExtended)
    }
}

extension LookupListing.Entry {
    /// What the hardware goes on with; `nil` where it refuses, or nothing is known.
    var context: RequestContext? {
        if case .context(let context) = resolution { context } else { nil }
    }
}

extension IOMMUHardware {
    /// The root register names lookup tables that the unit can read (VT-d: RTADDR.TTM).
    fileprivate var namesTables: Bool {
        guard case .vtd(let unit) = self else { return true }
        return switch unit.registers.rootTableAddress.mode {
        case .legacy: true
        case .scalable: unit.registers.extendedCapability.scalableMode
        case .reserved, .abortDMA: false
        }
    }
}

extension Array {
    /// The first index from `low` on whose element satisfies `isAtOrAfter`, which holds for all elements after the
    /// first one that satisfies it; ``count`` when there is none. O(log n).
    func firstIndex(from low: Int, where isAtOrAfter: (Element) -> Bool) -> Int {
        var (low, high) = (low, count)
        while low < high {
            let middle = (low + high) / 2
            if isAtOrAfter(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
