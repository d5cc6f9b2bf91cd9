import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// Puts a snapshot together from the units of an image.
struct SnapshotBuilder {
    let image: MachineImage
    let units: [ImportedUnit]
    let options: ImportOptions
    var snapshot = Snapshot(origin: .imported)

    /// A lookup entry that attaches the requests of one requester and PASID, and the unit that it belongs to.
    struct Attached {
        var requester: RequesterID
        /// `nil`: untagged.
        var pasid: PASID?
        /// Index in ``units``.
        var unit: Int
        var entry: LookupListing.Entry

        /// What the hardware makes of it; `nil` when it refuses it.
        var context: RequestContext? {
            if case .context(let context) = entry.resolution { context } else { nil }
        }
    }

    /// Pages that leaves map and that look like tables, by the index of the unit: see ``LevelEvidence``. Empty unless a
    /// tree was read with a number of levels that its tables do not have.
    var mappedTables: [Int: Set<PhysicalAddress>] = [:]

    /// The address space of each domain that has one.
    var addressSpaces: [DomainID: IOASID] = [:]

    /// Ascending by requester, then PASID, untagged first; one for each.
    private(set) var attached: [Attached] = []

    init(image: MachineImage, units: [ImportedUnit], options: ImportOptions) {
        self.image = image
        self.units = units
        self.options = options
        attached = Self.attached(units)
    }

    /// The entries of all units. A requester that two units list belongs to the one that ACPI names, else to the first.
    private static func attached(_ units: [ImportedUnit]) -> [Attached] {
        var owners: [RequesterID: Int] = [:]
        for (index, unit) in units.enumerated() {
            for entry in unit.listing?.entries ?? [] {
                let requester = unit.requester(entry.rid)
                guard let other = owners[requester], other != index else {
                    owners[requester] = index
                    continue
                }
                let isNamed = unit.firmware.serves(requester) == true
                if isNamed, units[other].firmware.serves(requester) != true { owners[requester] = index }
            }
        }
        var all: [Attached] = []
        for (index, unit) in units.enumerated() {
            for entry in unit.listing?.entries ?? [] {
                let requester = unit.requester(entry.rid)
                guard owners[requester] == index else { continue }
                all.append(Attached(requester: requester, pasid: entry.pasid, unit: index, entry: entry))
            }
        }
        return all.sorted {
            $0.requester != $1.requester ? $0.requester < $1.requester : PASID?.precedes($0.pasid, $1.pasid)
        }
    }

    /// Records units and RAM.
    mutating func addUnits() {
        snapshot.units = units.map(\.record)
        snapshot.memoryRanges = Self.wholePages(image.metadata.ram).map { MemoryRangeRecord(kind: .ram, range: $0) }
    }

    /// Records the pages of the lookup structures, and ``mappedTables`` beside them.
    mutating func addLookupPages() {
        let view = image.memory.view
        for (index, unit) in units.enumerated() {
            guard let listing = unit.listing else { continue }
            let structures = listing.pages.map { ($0.address, $0.kind.rawValue) }
            let mapped = mappedTables[index, default: []].map { ($0, LookupLevel.mappedTable) }
            var pages = PageSet()
            for (address, level) in (structures + mapped).sorted(by: <) {
                guard let words = view.page(at: address) else { continue }
                pages.append(address: address, level: level, words: words)
            }
            snapshot.lookupPages.append(UnitPages(unit: unit.record.id, pages: pages))
        }
    }

    /// `ranges` shrunk to whole pages, ascending, overlaps joined.
    static func wholePages(_ ranges: [PhysicalRange]) -> [PhysicalRange] {
        var result: [PhysicalRange] = []
        for range in ranges.sorted() {
            let (up, overflow) = range.first.rawValue.addingReportingOverflow(0xfff)
            // One past the last whole page, modulo 2^64: 0 stands for the end of the space.
            let end = (range.last.rawValue &+ 1) & ~0xfff
            guard !overflow, end != 0 || range.last.rawValue == .max,
                let pages = PhysicalRange(
                    first: PhysicalAddress(up & ~0xfff), last: PhysicalAddress(end &- 1))
            else { continue }
            if let last = result.last, last.overlaps(pages) {
                result[result.count - 1] = PhysicalRange(first: last.first, last: max(last.last, pages.last)) ?? last
            } else {
                result.append(pages)
            }
        }
        return result
    }

    /// The finished snapshot, in the order of its keys.
    mutating func finish() -> Snapshot {
        snapshot.sessions = [SessionRecord(id: SessionID(1), name: "imported")]
        snapshot.normalize()
        return snapshot
    }
}
