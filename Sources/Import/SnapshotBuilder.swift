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

    /// A context entry that attaches its requester, and the unit that it belongs to.
    struct Attached {
        var requester: RequesterID
        /// Index in ``units``.
        var unit: Int
        var context: VTDLegacyLookup.ContextEntry
    }

    /// Ascending by requester; one per requester.
    private(set) var attached: [Attached] = []

    init(image: MachineImage, units: [ImportedUnit], options: ImportOptions) {
        self.image = image
        self.units = units
        self.options = options
        attached = Self.attached(units)
    }

    /// The present context entries. A requester that two units list belongs to the one that ACPI names, else to the first.
    private static func attached(_ units: [ImportedUnit]) -> [Attached] {
        var byRequester: [RequesterID: Attached] = [:]
        for (index, unit) in units.enumerated() {
            for context in unit.lookup?.contexts ?? [] where context.entry.isPresent {
                let requester = unit.requester(context.rid)
                if let other = byRequester[requester] {
                    guard unit.serves(requester) == true, units[other.unit].serves(requester) != true else { continue }
                }
                byRequester[requester] = Attached(requester: requester, unit: index, context: context)
            }
        }
        return byRequester.values.sorted { $0.requester < $1.requester }
    }

    /// Records units, RAM and lookup pages.
    mutating func addUnits() {
        snapshot.units = units.map(\.record)
        snapshot.memoryRanges = Self.wholePages(image.metadata.ram).map { MemoryRangeRecord(kind: .ram, range: $0) }
        let view = image.memory.view
        for unit in units {
            guard let lookup = unit.lookup else { continue }
            var places = lookup.contextTables.map { (page: $0, level: LookupLevel.vtdContext) }
            places.append((lookup.rootTable, LookupLevel.vtdRoot))
            var pages = PageSet()
            for place in places.sorted(by: { ($0.page, $0.level) < ($1.page, $1.level) }) {
                guard let words = view.page(at: place.page) else { continue }
                pages.append(address: place.page, level: place.level, words: words)
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
