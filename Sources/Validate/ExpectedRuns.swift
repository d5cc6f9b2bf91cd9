import IOMMUModel
import PageTables
import Snapshot

/// The areas of one address space as tables should hold them, one by one: sorted, without overlap (where areas overlap the
/// first one counts; the overlap is a finding of its own).
struct ExpectedRuns: IteratorProtocol {
    private var areas: ArraySlice<AreaRecord>.Iterator
    private let backings: [BackingID: BackingRecord]
    private let format: PageTableFormatKind
    /// Of the area before, and where it begins: neighbours mostly share a backing.
    private var backing: BackingID?
    private var base: PhysicalAddress?
    /// The last address told.
    private var last: IOVA?

    /// `areas`: of one address space, sorted by range, in tables of `format`. Areas without a resolvable backing are left
    /// out.
    init(_ areas: ArraySlice<AreaRecord>, backings: [BackingID: BackingRecord], format: PageTableFormatKind) {
        self.areas = areas.makeIterator()
        self.backings = backings
        self.format = format
    }

    /// The next run; `nil` at the end.
    @inline(__always)
    mutating func next() -> ExpectedRun? {
        while let area = areas.next() {
            if backing != area.backing {
                backing = area.backing
                base = backings[area.backing]?.base
            }
            guard let start = base?.offset(by: area.offset), !area.protection.isEmpty else { continue }
            let protection = format.granted(area.protection)
            guard let last, area.range.first <= last else {
                self.last = area.range.last
                return ExpectedRun(range: area.range, physical: start, protection: protection)
            }
            guard area.range.last > last, let first = last.offset(by: 1),
                let range = IOVARange(first: first, last: area.range.last),
                let physical = start.offset(by: first.distance(from: area.range.first))
            else { continue }
            self.last = range.last
            return ExpectedRun(range: range, physical: physical, protection: protection)
        }
        return nil
    }
}
