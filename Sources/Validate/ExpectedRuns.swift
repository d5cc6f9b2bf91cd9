import IOMMUModel
import PageTables
import Snapshot

/// The areas of one IOAS as the tables should hold them.
struct ExpectedRuns {
    /// Sorted, without overlap: where areas overlap the first one counts (the overlap is a finding of its own).
    let runs: [ExpectedRun]
    let origin: AreaOrigin

    /// `areas`: of one IOAS, sorted by range, in tables of `format`. Areas without a resolvable backing are left out.
    init(
        ioas: IOASRecord, areas: some Sequence<AreaRecord>, backings: [BackingID: BackingRecord],
        format: PageTableFormatKind
    ) {
        origin = ioas.areaOrigin
        var runs: [ExpectedRun] = []
        runs.reserveCapacity(areas.underestimatedCount)
        // Neighbours mostly share a backing.
        var known: BackingRecord?
        for area in areas {
            if known?.id != area.backing { known = backings[area.backing] }
            guard let backing = known, let start = backing.base.offset(by: area.offset),
                !area.protection.isEmpty
            else { continue }
            var first = area.range.first
            if let last = runs.last?.range.last, first <= last {
                guard area.range.last > last, let next = last.offset(by: 1) else { continue }
                first = next
            }
            guard let range = IOVARange(first: first, last: area.range.last),
                let physical = start.offset(by: first.distance(from: area.range.first))
            else { continue }
            runs.append(ExpectedRun(range: range, physical: physical, protection: format.granted(area.protection)))
        }
        self.runs = runs
    }
}
